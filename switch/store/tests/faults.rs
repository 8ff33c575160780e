//! Each kind of bad row, with the line, column and reason it is rejected for.

mod support;

use support::*;

/// Imports a file into the small city and compares all its faults.
async fn check(file: &str, content: &str, expected: &[(u64, &str, &str)]) {
    let deployment = Deployment::filled().await;
    let before = deployment.exported().await;
    let report = deployment.import_file(file, content).await;
    let found: Vec<(u64, &str, &str)> =
        report.first_faults.iter().map(|fault| (fault.line, &*fault.column, &*fault.reason)).collect();
    assert_eq!(found, expected, "{content}");
    assert!(report.rejected > 0 && report.loaded == 0 && report.unchanged == 0);
    assert_eq!(deployment.exported().await, before);
}

/// One row under a file's header, and what is wrong with it.
async fn check_rows(file: &str, header: &str, rows: &[(&str, &str, &str)]) {
    for (row, column, reason) in rows {
        check(file, &format!("{header}\n{row}\n"), &[(2, column, reason)]).await;
    }
}

const NO_MERCHANT: &str = "there is no such merchant, neither in the store nor in a merchants.csv that was loaded";
const NO_HOLDER: &str = "there is no such holder, neither in the store nor in a holders.csv that was loaded";

#[tokio::test]
async fn holders() {
    let rows = [
        (",farmer,5,active,", "holder_id", "must not be empty"),
        ("H1,peasant,5,active,", "category", "must be one of farmer, resident, staff, enterprise"),
        ("H1,Farmer,5,active,", "category", "must be one of farmer, resident, staff, enterprise"),
        ("H1,farmer,6,active,", "star", "must be a whole number from 0 to 5"),
        ("H1,farmer,,active,", "star", "must be a whole number from 0 to 5"),
        ("H1,farmer,-1,active,", "star", "must be a whole number from 0 to 5"),
        ("H1,farmer,5,gone,", "status", "must be one of active, suspended, withdrawn"),
        ("H1,farmer,5,active,52018119800101001", "id_no", "a 身份证 has 17 digits and then a digit or X"),
        (
            "H1,farmer,5,active,520181198001010018",
            "id_no",
            "the check character at the end doesn't fit the digits before it",
        ),
        ("H1,farmer,5,active,520181198002300019", "id_no", "the birth date in digits 7 to 14 doesn't exist"),
        ("H1,farmer,5,active", "", "the row has 4 columns, the header has 5"),
        ("H1,farmer,5,active,,", "", "the row has 6 columns, the header has 5"),
        (
            "\"H1,farmer,5,active,\nH2,farmer,5,active,\",a,b,c,d",
            "holder_id",
            "holds a line break or another control character: is a quote left open?",
        ),
    ];
    check_rows("holders.csv", "holder_id,category,star,status,id_no", &rows).await;
}

#[tokio::test]
async fn merchants() {
    let kinds = "must be one of merchant, hall, bank";
    let circles = "must be one of member, rectifying, delisted, none";
    let id = |found| format!("a merchant id must be 15 letters or digits, this has {found} bytes or other characters");
    let rows = [
        ("99952015812000,a,merchant,5812,member,520181", "merchant_id", &*id(14)),
        ("99952015812000-,a,merchant,5812,member,520181", "merchant_id", &*id(15)),
        ("999520158120001,a,shop,5812,member,520181", "kind", kinds),
        ("999520158120001,a,merchant,58,member,520181", "mcc", "must be 4 digits or empty"),
        ("999520158120001,a,merchant,5812,gone,520181", "circle", circles),
        ("999520158120001,a,merchant,5812,member,黔", "region", "must be 6 digits or empty"),
    ];
    check_rows("merchants.csv", "merchant_id,name,kind,mcc,circle,region", &rows).await;
}

#[tokio::test]
async fn cards() {
    let rows = [
        ("629999000000000001,H1,active,2031-12", "pan", "its check digit (Luhn) doesn't fit"),
        ("6299990000000000013,H1,active,2031-12", "pan", "its check digit (Luhn) doesn't fit"),
        ("62999900000001,H1,active,2031-12", "pan", "must be 16 to 19 digits"),
        ("6299 9900 0000 0000 012,H1,active,2031-12", "pan", "must be 16 to 19 digits"),
        (",H1,active,2031-12", "pan", "must not be empty, unless pan_key, bin and last4 stand for it"),
        ("6299990000000000012,H7,active,2031-12", "holder_id", NO_HOLDER),
        ("6299990000000000012,H1,expired,2031-12", "status", "must be one of active, lost, stolen, frozen"),
        ("6299990000000000012,H1,active,2031-13", "expires", "must be a month such as 2031-12"),
        ("6299990000000000012,H1,active,12/31", "expires", "must be a month such as 2031-12"),
    ];
    check_rows("cards.csv", "pan,holder_id,status,expires", &rows).await;
    let key = "00".repeat(32);
    let hashed = [
        (format!("{key}00,629999,0012,H1,active,2031-12"), "pan_key", "must be 64 hexadecimal digits"),
        (format!("{key},6299,0012,H1,active,2031-12"), "bin", "must be 6 digits"),
        (format!("{key},629999,12,H1,active,2031-12"), "last4", "must be 4 digits"),
    ];
    for (row, column, reason) in hashed {
        check_rows("cards.csv", "pan_key,bin,last4,holder_id,status,expires", &[(&row, column, reason)]).await;
    }
    let both = format!("6299990000000000012,{key},629999,0012,H1,active,2031-12");
    let reason = "stands beside pan_key, bin or last4: give one or the other";
    check_rows("cards.csv", "pan,pan_key,bin,last4,holder_id,status,expires", &[(&both, "pan", reason)]).await;
}

#[tokio::test]
async fn terminals() {
    let tmk = "B4DD30D6B696EF2A1D79EB10FBDAD444";
    let row = |id: &str, merchant: &str, profile: &str, mac: &str, tmk: &str, scope: &str| {
        [id, merchant, profile, mac, tmk, scope].join(",")
    };
    let m = "999520158120000";
    let macs = "must be one of aes-cmac, sm4-cbc, x9.19, x9.9, cup-ecb, cup-ecb-sm4";
    let id = "a terminal id must be 8 letters or digits, this has 2 bytes or other characters";
    let rows = [
        (row("T1", m, "cup", "aes-cmac", tmk, ""), "terminal_id", id),
        (row("T0000001", "999520158120009", "cup", "aes-cmac", tmk, ""), "merchant_id", NO_MERCHANT),
        (row("T0000001", m, "cpu", "aes-cmac", tmk, ""), "profile", "must be one of cup, cup-gbk, ascii87"),
        (row("T0000001", m, "cup", "md5", tmk, ""), "mac", macs),
        (row("T0000001", m, "cup", "aes-cmac", "B4DD", ""), "tmk", "must be 32 hexadecimal digits"),
        (row("T0000001", m, "cup", "aes-cmac", "", ""), "tmk", "must not be empty, unless tmk_wrapped stands for it"),
        (
            row("T0000001", m, "cup", "aes-cmac", tmk, "all"),
            "scope",
            "must be one of discount, priority, star, joined with +",
        ),
    ];
    for (row, column, reason) in &rows {
        check_rows("terminals.csv", "terminal_id,merchant_id,profile,mac,tmk,scope", &[(row, column, reason)]).await;
    }
    let wrapped = [
        ("zz", "must be hexadecimal digits, as an export writes them"),
        ("01b4dd", "does not open under this deployment's master key as this terminal's key: give tmk instead"),
    ];
    for (value, reason) in wrapped {
        let row = row("T0000001", m, "cup", "aes-cmac", value, "");
        let header = "terminal_id,merchant_id,profile,mac,tmk_wrapped,scope";
        check_rows("terminals.csv", header, &[(&row, "tmk_wrapped", reason)]).await;
    }
}

#[tokio::test]
async fn benefits() {
    let header = BENEFITS.lines().next().unwrap();
    let good: Vec<&str> = BENEFITS.lines().nth(1).unwrap().split(',').collect();
    let kinds = "must be one of discount, amount_off, priority, fee_waiver, faster";
    let categories = "must be one of farmer, resident, staff, enterprise";
    let weekdays = "must be weekdays such as 1-5, or one such as 6; 1 is Monday, 7 Sunday";
    let hours = "must be hours such as 09:00-17:00; the end may be 24:00";
    let amount = "must be a whole number from 0 to 999999999999";
    let number = "must be a whole number from 0 to 4294967295";
    for (column, value, reason) in [
        ("benefit_id", "1a", number),
        ("benefit_id", "4294967296", number),
        ("provider", "999520158120001", NO_MERCHANT),
        ("kind", "gift", kinds),
        ("service", "S 1", "a service code has 1 to 16 letters or digits"),
        ("service", "S1234567890123456", "a service code has 1 to 16 letters or digits"),
        ("audience", "farmer+", categories),
        ("s1", "-1", number),
        ("s3", "5%", number),
        ("s5", "", number),
        ("valid_from", "2026-02-30", "there is no such day"),
        ("valid_to", "2026/01/01", "must be a date such as 2026-11-23"),
        ("weekdays", "0-5", weekdays),
        ("weekdays", "5-1", "the first weekday must not come after the last"),
        ("hours", "9-17", hours),
        ("hours", "17:00-09:00", "the hours must start before they end"),
        ("min_amount", "1.5", amount),
        ("max_off", "1000000000000", amount),
        ("budget", "all", "must be a whole number from 0 to 999999999999999"),
        ("per_day", "x", number),
        ("per_month", "-1", number),
        ("per_holder", "4294967296", number),
        ("stack", "true", "must be yes, no or empty"),
        ("legal_basis", "", "must name the document that allows the benefit: without one it can't be loaded"),
        ("legal_basis", "  ", "must name the document that allows the benefit: without one it can't be loaded"),
    ] {
        let place = header.split(',').position(|name| name == column).unwrap();
        let mut row = good.clone();
        row[place] = value;
        check_rows("benefits.csv", header, &[(&row.join(","), column, reason)]).await;
    }
    let largest = [("priority", "2"), ("faster", "255")];
    for (kind, most) in largest {
        let row =
            BENEFITS.lines().nth(1).unwrap().replace("discount,,,0,0,500,1000,2000", &format!("{kind},,,0,0,1,1,256"));
        let reason = format!("must be a whole number from 0 to {most}");
        check_rows("benefits.csv", header, &[(&row, "s5", &reason)]).await;
    }
    let bearer = format!("{},shop", good.join(","));
    let reason = "must be one of merchant, office, bank";
    check_rows("benefits.csv", &format!("{header},bearer"), &[(&bearer, "bearer", reason)]).await;
}

#[tokio::test]
async fn what_benefits_may_be() {
    let deployment = Deployment::filled().await;
    let rows = [
        ("9", "2027-01-01,2026-01-01,1-5,09:00-24:00"),
        ("10", "2026-01-01,2026-01-01,7,00:00-00:01"),
        ("11", "2028-02-29,2028-02-29,,"),
    ];
    let header = BENEFITS.lines().next().unwrap();
    let row = |(id, days): &(&str, &str)| {
        format!("{id},999520158120000,,discount,,,0,0,0,0,10000,{days},,,,,,,,no,基本法,office\n")
    };
    let benefits = format!("{header},bearer\n{}", rows.iter().map(row).collect::<String>());
    let report = deployment.import_file("benefits.csv", benefits).await;
    assert_eq!(counts(&report), (3, 3, 0, 0), "{report:?}");
}

#[tokio::test]
async fn an_identity_stands_once() {
    let holders = format!("{HOLDERS}\r\n\nH1,staff,1,active\n");
    check("holders.csv", &holders, &[(6, "holder_id", "stands on line 2 already")]).await;
    let cards = format!("{CARDS}6299990000000000012,H2,lost,2031-12\n");
    check("cards.csv", &cards, &[(3, "pan", "stands on line 2 already")]).await;
    let merchants = format!("{MERCHANTS}{}", MERCHANTS.lines().nth(1).unwrap());
    check("merchants.csv", &merchants, &[(3, "merchant_id", "stands on line 2 already")]).await;
    let terminals = format!("{TERMINALS}{}", TERMINALS.lines().nth(1).unwrap());
    check("terminals.csv", &terminals, &[(3, "terminal_id", "stands on line 2 already")]).await;
    let benefits = format!("{BENEFITS}{}", BENEFITS.lines().nth(1).unwrap().replacen("1,", "01,", 1));
    check("benefits.csv", &benefits, &[(4, "benefit_id", "stands on line 2 already")]).await;
}

#[tokio::test]
async fn headers() {
    for (header, column, reason) in [
        ("holder_id,category,status", "star", "is missing from the header"),
        ("holder_id,category,star,Status", "Status", "isn't a column of this file: is status meant?"),
        ("holder_id,category,star,star,status", "star", "stands twice in the header"),
        (
            "holder_id,category,star,status,points",
            "points",
            "isn't a column of this file, which are holder_id, category, star, status, name, id_no",
        ),
    ] {
        let deployment = Deployment::filled().await;
        let report = deployment.import_file("holders.csv", format!("{header}\nH1,farmer,5,active\n")).await;
        let fault = &report.first_faults[0];
        assert_eq!((fault.line, &*fault.column, &*fault.reason), (1, column, reason));
        assert_eq!((report.read, report.rejected, report.loaded), (1, 1, 0));
    }
    let empty = "the file is empty: it needs a header line at least";
    check("holders.csv", "", &[(1, "", empty)]).await;
}

#[tokio::test]
async fn a_file_without_a_header_tells_no_card_number() {
    let deployment = Deployment::filled().await;
    let report = deployment.import_file("cards.csv", "6299990000000000012,H1,active,2031-12\n").await;
    assert!(!format!("{report:?}").contains("6299990000000000012"));
    assert_eq!(report.first_faults[0].column, "column 1");
}

#[tokio::test]
async fn a_text_in_no_encoding() {
    let deployment = Deployment::filled().await;
    let merchants = [MERCHANTS.as_bytes(), b"999520158120001,\xFF,merchant,5812,member,520181\n"].concat();
    let report = deployment.import_file("merchants.csv", merchants).await;
    assert_eq!((report.first_faults[0].line, report.rejected, report.loaded), (3, 1, 0));
}
