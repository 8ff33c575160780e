//! The simulated city: a few shops and holders, and benefits that run out.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use xingka_core::city::{
    Card, CardStatus, Category, Circle, Holder, HolderStatus, Merchant, MerchantKind, Scope, Star, Terminal,
};
use xingka_core::ids::{BenefitId, HolderNo, MerchantId, RuleBookVersion, TerminalId};
use xingka_core::money::Fen;
use xingka_core::pan::{CardHasher, luhn_ok};
use xingka_core::rules::{Audience, Bearer, Benefit, BenefitKind, Limits, RuleBook};
use xingka_core::time::{Date, Month};
use xingka_store::vault::MasterKey;
use xingka_store::{CityTerminal, News};
use xingka_wire::dialect::CUP;
use xingka_wire::mac::MacAlgorithm;
use xingka_wire::pan::Pan;

/// Shops.
pub const SHOPS: [&[u8; 15]; 2] = [b"999520153990001", b"999520153990002"];
/// Holders, with a card each.
pub const HOLDERS: u32 = 8;
/// A discount of the shop's, in basis points by the rule book's version: without limits.
pub const DISCOUNT: BenefitId = BenefitId(1);
/// Some uses a day.
pub const DAILY: BenefitId = BenefitId(2);
/// A budget.
pub const BUDGET: BenefitId = BenefitId(3);
/// Uses of [`DAILY`] by a holder in a day.
pub const PER_DAY: u32 = 2;
/// What [`BUDGET`] may take off in all.
pub const BUDGET_FEN: u64 = 2_000;
/// What it takes off at a time.
pub const BUDGET_OFF_FEN: u64 = 200;

const MASTER: [u8; 32] = [7; 32];

/// The deployment's master key.
pub fn master() -> MasterKey {
    MasterKey::new(MASTER)
}

/// Its key for card numbers.
pub fn hasher() -> CardHasher {
    CardHasher::new(&[9; 32])
}

/// A terminal's master key.
pub fn tmk(terminal: usize) -> [u8; 16] {
    [0x21 + terminal as u8; 16]
}

/// A terminal's number at its shop.
pub fn terminal_id(terminal: usize) -> [u8; 8] {
    let mut id = *b"QZ000000";
    (id[6], id[7]) = (b'0' + (terminal / 10 % 10) as u8, b'0' + (terminal % 10) as u8);
    id
}

/// A terminal's shop.
pub fn shop_of(terminal: usize) -> &'static [u8; 15] {
    SHOPS[terminal % SHOPS.len()]
}

/// A terminal's MAC.
pub fn mac_of(terminal: usize) -> MacAlgorithm {
    MacAlgorithm::ALL[terminal % MacAlgorithm::ALL.len()]
}

/// A holder's card number.
pub fn pan(holder: u32) -> Option<Pan> {
    let digits = format!("62999900000000000{holder}");
    let numbers = (0..10).map(|check| format!("{digits}{check}"));
    numbers.filter(|number| luhn_ok(number.as_bytes())).find_map(|number| Pan::from_ascii(number.as_bytes()))
}

/// A holder with so many stars.
pub fn holder(star: u8) -> Holder {
    Holder { category: Category::Farmer, rated: Star::new(star).unwrap_or_default(), status: HolderStatus::Active }
}

/// The rule book of a version: every version gives another discount.
pub fn rules(version: u32) -> Arc<RuleBook> {
    let common = |id, shop: &[u8; 15], kind, value: u32| Benefit {
        id,
        provider: MerchantId(*shop),
        title: String::new(),
        kind,
        service: None,
        audience: Audience::ALL,
        values: [value; 5],
        valid_from: Date(0),
        valid_to: Date(100_000),
        weekdays: None,
        hours: None,
        min_amount: None,
        max_off: None,
        limits: Limits::default(),
        group: None,
        stacks: true,
        legal_basis: String::new(),
        bearer: Bearer::Merchant,
    };
    let daily = Limits { per_day: Some(PER_DAY), ..Limits::default() };
    let budget = Limits { budget: Some(Fen(BUDGET_FEN)), ..Limits::default() };
    let benefits = [
        Benefit { stacks: false, ..common(DISCOUNT, SHOPS[0], BenefitKind::Discount, 500 + version) },
        Benefit { limits: daily, ..common(DAILY, SHOPS[0], BenefitKind::AmountOff, 100) },
        Benefit { limits: budget, ..common(BUDGET, SHOPS[1], BenefitKind::AmountOff, BUDGET_OFF_FEN as u32) },
    ];
    Arc::new(RuleBook::new(RuleBookVersion(version), benefits))
}

/// Everything, for so many terminals.
pub fn everything(terminals: usize) -> News {
    let hasher = hasher();
    let master = master();
    let month = Month::new(2039, 12);
    let card = |number: u32| {
        let card = Card { holder_no: HolderNo(number), status: CardStatus::Active, expires: month };
        Some((hasher.key_of(pan(number)?.as_ascii()), card))
    };
    let terminal = |number: usize| {
        let id = TerminalId(terminal_id(number));
        let merchant =
            Merchant { id: MerchantId(*shop_of(number)), kind: MerchantKind::Merchant, circle: Circle::Member };
        let scope = Scope { discount: true, priority: true, star: true };
        let terminal = Terminal { id, merchant, mac: mac_of(number), profile: &CUP, scope };
        let tmk_wrapped = master.wrap_tmk(id, &tmk(number)).ok()?;
        Some(CityTerminal { terminal, tmk_wrapped, new_keys_ms: 0 })
    };
    News {
        holders: (0..HOLDERS).map(|number| (HolderNo(number), holder(1 + (number % 5) as u8))).collect(),
        cards: (0..HOLDERS).filter_map(card).collect(),
        terminals: (0..terminals).filter_map(terminal).collect(),
        rules: Some(rules(1)),
    }
}

/// The same city as a folder of files, for nodes that import it.
///
/// # Errors
/// Where it can't be written.
pub fn write_folder(folder: &Path, terminals: usize) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let [first, second] = SHOPS.map(|shop| String::from_utf8_lossy(shop).into_owned());
    let holders = (0..HOLDERS).map(|number| format!("H{number},farmer,{},active\n", 1 + number % 5));
    let cards = (0..HOLDERS).filter_map(|number| {
        let pan = pan(number)?;
        Some(format!("{},H{number},active,2039-12\n", String::from_utf8_lossy(pan.as_ascii())))
    });
    let machines = (0..terminals).map(|number| {
        let tmk: String = tmk(number).iter().map(|byte| format!("{byte:02X}")).collect();
        let (id, shop) = (terminal_id(number), shop_of(number));
        let (id, shop) = (String::from_utf8_lossy(&id).into_owned(), String::from_utf8_lossy(shop));
        format!("{id},{shop},cup,{},{tmk},discount+priority+star\n", mac_of(number))
    });
    let rest = "2020-01-01,2039-12-31";
    let basis = "清诚信办〔2026〕1号";
    let benefits = [
        format!("{DISCOUNT},{first},折扣,discount,,,501,501,501,501,501,{rest},,,,,,,,,,,{basis}\n"),
        format!("{DAILY},{first},每日立减,amount_off,,,100,100,100,100,100,{rest},,,,,,{PER_DAY},,,,yes,{basis}\n"),
        format!(
            "{BUDGET},{second},预算立减,amount_off,,,200,200,200,200,200,{rest},,,,,{BUDGET_FEN},,,,,yes,{basis}\n"
        ),
    ];
    let shops = [first, second].map(|shop| format!("{shop},星光书店,merchant,5399,member,520181\n"));
    let files = [
        ("holders", "holder_id,category,star,status", holders.collect::<String>()),
        ("cards", "pan,holder_id,status,expires", cards.collect()),
        ("merchants", "merchant_id,name,kind,mcc,circle,region", shops.concat()),
        ("terminals", "terminal_id,merchant_id,profile,mac,tmk,scope", machines.collect()),
        (
            "benefits",
            "benefit_id,provider,title,kind,service,audience,s1,s2,s3,s4,s5,valid_from,valid_to,weekdays,hours,min_amount,\
             max_off,budget,per_day,per_month,per_holder,group,stack,legal_basis",
            benefits.concat(),
        ),
    ];
    files
        .iter()
        .try_for_each(|(name, header, rows)| fs::write(folder.join(format!("{name}.csv")), format!("{header}\n{rows}")))
}
