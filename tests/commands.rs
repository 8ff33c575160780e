//! The commands as an operator uses them.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};
use support::{Deployment, Till, pan, write_city, xingka};

fn error_of(output: &std::process::Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn init_makes_keys_that_only_their_owner_reads_and_touches_nothing_that_is_there() {
    let deployment = Deployment::new();
    for key in ["master.key", "card-hash.key"] {
        let mode = fs::metadata(deployment.dir().join(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    let before = fs::read(deployment.dir().join("master.key")).unwrap();
    let again = xingka(["init".as_ref(), deployment.dir().as_os_str()]);
    assert!(error_of(&again).contains("exists already"));
    assert_eq!(fs::read(deployment.dir().join("master.key")).unwrap(), before);
}

#[test]
fn a_wrong_configuration_key_is_named_with_the_nearest_right_one() {
    let deployment = Deployment::new();
    for (text, expected) in [
        (
            "[switch]\nlissten = \"127.0.0.1:0\"\n",
            "there is no key `switch.lissten`; the nearest one is `switch.listen`",
        ),
        ("data_dri = \"x\"\n", "there is no key `data_dri`; the nearest one is `data_dir`"),
        ("[swich]\nlisten = \"127.0.0.1:0\"\n", "the nearest one is `switch.listen`"),
        ("[redis]\nurl = \"redis://127.0.0.1:6379\"\n", "`redis.url` needs a part that this version doesn't have yet"),
        ("[store]\nurl = \"mysql://root:secret@localhost/x\"\n", "is \"mysql\", but must be sqlite:PATH"),
        ("[[bank]]\nid = \"rcc\"\n", "`bank` needs a part that this version doesn't have yet"),
        ("[switch]\nlisten = \"nowhere\"\n", "`switch.listen` is \"nowhere\""),
        ("[switch]\nanswer_deadline_ms = 0\n", "`switch.answer_deadline_ms`"),
        ("[switch]\nmax_connections = \"many\"\n", "max_connections"),
        ("[switch]\nidle_timeout_s = 1.5\n", "`switch.idle_timeout_s` is `1.5`, but must be a whole number"),
        ("[switch]\nlisten = 8583\n", "`switch.listen` is `8583`, but must be text"),
        ("data_dir = \"\"\n", "`data_dir` is \"\", but must be a folder"),
        ("[journal]\ninterval_ms = 0\n", "`journal.interval_ms`"),
        ("[redis]\nur = \"x\"\n", "there is no key `redis.ur`"),
        ("timezone = \"Mars/Olympus\"\n", "`timezone` is \"Mars/Olympus\""),
        ("[journal]\ndurability = \"never\"\n", "`journal.durability` is \"never\""),
        ("[journal]\ndurability = \"interval\"\n", "needs `journal.interval_ms`"),
        ("[keys]\nmaster = \"file:none.key\"\n", "which the key `keys.master` names"),
        ("[keys]\nmaster = \"0011\"\n", "`keys.master` must be file:PATH or env:NAME"),
        ("[switch\n", "xingka.toml"),
    ] {
        deployment.configure(text);
        let error = error_of(&deployment.run(&["doctor"]));
        let shown = String::from_utf8(deployment.run(&["doctor"]).stdout).unwrap() + &error;
        assert!(shown.contains(expected), "{text}\n{shown}");
    }
    deployment.configure("[api]\nlisten = \"127.0.0.1:8080\"\n[redis]\n");
    assert!(deployment.run(&["export", deployment.city().to_str().unwrap()]).status.success());
}

#[test]
fn the_environment_sets_every_key() {
    let deployment = Deployment::with_city();
    let run = |name: &str, value: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_xingka"));
        command.args(["doctor", "--config"]).arg(deployment.config()).env(name, value);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert!(run("XINGKA_SWITCH__LISTEN", "127.0.0.1:1").contains("127.0.0.1:1"));
    assert!(run("XINGKA_TIMEZONE", "Mars/Olympus").contains("Mars/Olympus"));
    assert!(run("XINGKA_REDIS__URL", "redis://x").contains("XINGKA_REDIS__URL"));
    assert!(run("XINGKA_SWITCH__LISSTEN", "x").contains("the nearest one is `switch.listen`"));
    assert!(run("XINGKA_DATADIR", "x").contains("the nearest one is `data_dir`"));
    assert!(run("XINGKA_SWITCH__IDLE_TIMEOUT_S", "soon").contains("must be a whole number"));
    assert!(run("XINGKA_SWITCH__IDLE_TIMEOUT_S", "7").contains("ok   configuration"));
    // Somebody else's variable is nobody's business.
    assert!(run("XINGKA_BIN", "/usr/bin/xingka").contains("ok   configuration"));
}

#[test]
fn import_says_what_is_wrong_where_and_loads_the_good_files() {
    let deployment = Deployment::new();
    write_city(&deployment.city());
    let cards = deployment.city().join("cards.csv");
    let good = fs::read_to_string(&cards).unwrap();
    let number = pan(5);
    fs::write(&cards, good.replacen("H4,active", "H4,activ", 1).replace(&number, "6299990000000000013")).unwrap();
    let imported = deployment.run(&["import", deployment.city().to_str().unwrap(), "--json"]);
    assert_eq!(imported.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&imported.stdout).unwrap();
    assert_eq!(report["cards.csv"]["loaded"], 0);
    assert_eq!(report["cards.csv"]["rejected"], 2);
    assert_eq!((&report["holders.csv"]["loaded"], &report["holders.csv"]["rejected"]), (&json!(6), &json!(0)));
    let rejects = fs::read_to_string(report["cards.csv"]["reject_file"].as_str().unwrap()).unwrap();
    assert!(rejects.contains("6,status,") && rejects.contains("7,pan,"), "{rejects}");
    assert!(!rejects.contains("6299990000000000013"), "a reject file shows a card number");

    fs::write(&cards, good).unwrap();
    let report = deployment.json(&["import", deployment.city().to_str().unwrap()]);
    assert_eq!((&report["cards.csv"]["loaded"], &report["holders.csv"]["loaded"]), (&json!(8), &json!(0)));
    let again = deployment.json(&["import", deployment.city().to_str().unwrap()]);
    for file in ["holders.csv", "cards.csv", "merchants.csv", "terminals.csv", "benefits.csv"] {
        assert_eq!(again[file]["loaded"], 0, "{file}");
        assert_eq!(again[file]["unchanged"], again[file]["read"], "{file}");
    }
    let exported = deployment.folder.path().join("exported");
    deployment.json(&["export", exported.to_str().unwrap()]);
    let back = deployment.json(&["import", exported.to_str().unwrap()]);
    assert!(back.as_object().unwrap().values().all(|file| file["loaded"] == 0), "{back}");
}

#[test]
fn what_an_import_changes_is_in_force_beside_a_running_node() {
    let deployment = Deployment::with_city();
    let serving = deployment.serve();
    let mut till = Till::signed_in(serving.address, 0);
    let (sent, frame) = till.purchase(&pan(3), 10_000);
    assert_eq!(till.ask(&sent, &frame).amount_fen, Some(9_500));
    let holders = deployment.city().join("holders.csv");
    let text = fs::read_to_string(&holders).unwrap().replace("H3,farmer,3", "H3,farmer,4");
    fs::write(&holders, text).unwrap();
    deployment.json(&["import", deployment.city().to_str().unwrap()]);
    // Asked until it is in force; far more often than a second has room for.
    let in_force = (0..100_000).any(|_| {
        let (sent, frame) = till.purchase(&pan(3), 10_000);
        till.ask(&sent, &frame).amount_fen == Some(9_000)
    });
    assert!(in_force);
}

#[test]
fn swipe_explain_replay_and_audit_work_beside_a_running_node() {
    let deployment = Deployment::with_city();
    let serving = deployment.serve();
    let (host, card) = (serving.address.to_string(), pan(5));
    let swipe = |terminal: &str, more: &[&str]| {
        deployment.json(&[&["swipe", "--terminal", terminal, "--pan", &card, "--host", &host], more].concat())
    };
    let shop = swipe("QZ000003", &["--amount", "100"]);
    assert_eq!((&shop["code"], &shop["payable_fen"], &shop["off_bp"]), (&json!("00"), &json!(7_700), &json!(2_300)));
    assert_eq!((&shop["star"], &shop["benefits"], &shop["waivers"]), (&json!(5), &json!([1, 2]), &Value::Null));
    let keys: Vec<&String> = shop.as_object().unwrap().keys().collect();
    let contract = [
        "benefits",
        "code",
        "days",
        "decision_id",
        "micros",
        "off_bp",
        "payable_fen",
        "priority",
        "star",
        "text",
        "waivers",
    ];
    assert_eq!(keys, contract);
    let hall = swipe("QZ000006", &[]);
    assert_eq!(
        (&hall["code"], &hall["days"], &hall["priority"], &hall["payable_fen"]),
        (&json!("11"), &json!(5), &json!(2), &Value::Null)
    );
    let bank = swipe("QZ000007", &[]);
    assert_eq!((&bank["code"], &bank["off_bp"], &bank["days"]), (&json!("00"), &json!(0), &Value::Null));
    // The STAN counted on, so the second purchase is another one.
    assert_eq!(swipe("QZ000003", &["--amount", "100", "--preview"])["payable_fen"], 8_000);

    let explained = deployment.json(&["explain", shop["decision_id"].as_str().unwrap()]);
    let (zh, en) = (explained["zh"].as_str().unwrap(), explained["en"].as_str().unwrap());
    assert!(zh.contains("“八折”减 20.00 元") && zh.contains("应付 77.00 元"), "{zh}");
    assert!(en.contains("“一次立减” took 3.00 yuan off") && en.contains("77.00 yuan to pay"), "{en}");
    let error = error_of(&deployment.run(&["explain", "019ab2f0-5c11-7000-8000-0000000004d2"]));
    assert!(error.contains("no decision"), "{error}");

    let replayed = deployment.json(&["replay"]);
    assert_eq!((&replayed["swipes"], &replayed["differences"]), (&json!(4), &json!([])));
    assert_eq!(deployment.json(&["replay", "--to", "2020-01-01T00:00:00Z"])["swipes"], 0);
    let verified = deployment.json(&["audit", "verify"]);
    assert_eq!(verified["records"], 8, "four sign-ins and four swipes");
    let (code, log) = serving.terminate();
    assert_eq!(code, Some(0), "{log:#?}");
    // The stop anchored the journal's head.
    assert_eq!(deployment.json(&["audit", "verify"])["anchored_through"], 8);
    assert!(deployment.json(&["doctor"])["ok"].as_bool().unwrap());
    // It had sent everything to the central store as well.
    let verified = deployment.json(&["audit", "verify"]);
    assert_eq!((&verified["register"][0]["records"], &verified["register"][0]["hash"]), (&json!(8), &verified["hash"]));

    let told = deployment.json(&["audit", "who", "H5"]);
    let told: Vec<[&Value; 6]> = told["told"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| ["merchant", "asked", "code", "star", "off_bp", "decision_id"].map(|key| &line[key]))
        .collect();
    let line = |merchant, asked: &str, code, off_bp: Value, id: &Value| {
        json!([merchant, asked, code, 5, off_bp, id]).as_array().unwrap().clone()
    };
    assert_eq!(
        told[0].map(Clone::clone).to_vec(),
        line(support::SHOP, "purchase", "00", json!(2_300), &shop["decision_id"])
    );
    assert_eq!(
        told[1].map(Clone::clone).to_vec(),
        line(support::HALL, "counter service", "11", Value::Null, &hall["decision_id"])
    );
    assert_eq!(
        told[2].map(Clone::clone).to_vec(),
        line(support::BANK, "inquiry", "00", json!(0), &bank["decision_id"])
    );
    assert_eq!(told.len(), 4);
    assert_eq!(deployment.json(&["audit", "who", "H5", "--from", "2039-01-01T00:00:00Z"])["told"], json!([]));
    assert_eq!(deployment.json(&["audit", "who", "H0"])["told"], json!([]));
    let error = error_of(&deployment.run(&["audit", "who", "H77"]));
    assert!(error.contains("no holder \"H77\""), "{error}");
    assert!(deployment.run(&["audit", "who", "H5"]).status.success());
}

#[test]
fn a_journal_that_was_tampered_with_is_found_and_not_served() {
    let deployment = Deployment::with_city();
    let serving = deployment.serve();
    let mut till = Till::signed_in(serving.address, 0);
    for _ in 0..5 {
        let (sent, frame) = till.purchase(&pan(5), 10_000);
        till.ask(&sent, &frame);
    }
    assert_eq!(serving.terminate().0, Some(0));
    let journal = deployment.dir().join("data/journal.db");
    let whole = fs::read(&journal).unwrap();
    for (tampering, expected) in [
        (
            "UPDATE record_groups SET records = zeroblob(length(records)) WHERE first_sequence = 3",
            "records 3 to 3 were changed",
        ),
        (
            "UPDATE record_groups SET committed_ms = committed_ms + 1 WHERE first_sequence = 2",
            "records 2 to 2 were changed",
        ),
        ("DELETE FROM record_groups WHERE first_sequence = 3", "record 3 should come next"),
        ("DELETE FROM record_groups WHERE first_sequence > 4", "its end was cut off"),
        ("DELETE FROM record_groups", "its end was cut off"),
    ] {
        execute(&journal, tampering);
        let error = error_of(&deployment.run(&["audit", "verify"]));
        assert!(error.contains(expected), "{tampering}: {error}");
        restore(&journal, &whole);
    }
    let store = deployment.dir().join("data/xingka.db");
    let whole_store = fs::read(&store).unwrap();
    for (tampering, expected) in [
        ("UPDATE records SET record = zeroblob(length(record)) WHERE sequence = 3", "records 3 to 3 were changed"),
        (
            "UPDATE record_groups SET committed_ms = committed_ms + 1 WHERE first_sequence = 2",
            "records 2 to 2 were changed",
        ),
        ("DELETE FROM record_groups WHERE first_sequence = 3", "record 3 should come next"),
        ("DELETE FROM records WHERE sequence = 3", "records 3 to 3 were changed"),
        ("DELETE FROM record_groups WHERE first_sequence > 4", "its end was cut off"),
    ] {
        execute(&store, tampering);
        let error = error_of(&deployment.run(&["audit", "verify"]));
        assert!(error.contains(expected), "{tampering}: {error}");
        restore(&store, &whole_store);
    }
    assert!(deployment.run(&["audit", "verify"]).status.success());
    execute(&journal, "UPDATE record_groups SET records = zeroblob(length(records)) WHERE first_sequence = 3");
    assert!(error_of(&deployment.run(&["serve"])).contains("were changed"));
}

/// Puts a journal back as it was, without the log of what was done to it.
fn restore(journal: &Path, whole: &[u8]) {
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(journal.with_extension(format!("db{suffix}")));
    }
    fs::write(journal, whole).unwrap();
}

/// Changes a journal as somebody with the file in hands could.
fn execute(journal: &Path, statement: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        use sqlx::{Connection, Executor};
        let mut connection = sqlx::SqliteConnection::connect(journal.to_str().unwrap()).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(statement.to_owned())).await.unwrap();
        connection.close().await.unwrap();
    });
}

#[test]
fn wrong_usage_exits_with_2_and_every_command_has_an_example() {
    assert_eq!(xingka(["swipe".as_ref()]).status.code(), Some(2));
    assert_eq!(xingka(["nonsense".as_ref()]).status.code(), Some(2));
    assert_eq!(xingka(["load", "--terminals", "0", "--seconds", "1"].map(AsRef::as_ref)).status.code(), Some(2));
    // A card number with a slip in it is not repeated.
    let slip = xingka(["swipe", "--terminal", "QZ000001", "--pan", "6299990000000000012x"].map(AsRef::as_ref));
    assert_eq!(slip.status.code(), Some(2));
    assert!(!String::from_utf8(slip.stderr).unwrap().contains("629999"));
    for command in
        ["demo", "serve", "init", "import", "export", "swipe", "load", "audit", "explain", "replay", "doctor"]
    {
        let help = xingka([command.as_ref(), "--help".as_ref()]);
        assert!(help.status.success());
        let help = String::from_utf8(help.stdout).unwrap();
        assert!(help.contains("Example: xingka"), "{command}");
    }
}

#[test]
fn the_demo_shows_every_kind_of_place_and_replays_without_a_difference() {
    let demo = xingka(["demo", "--json", "--swipes", "40", "--holders", "300"].map(AsRef::as_ref));
    assert!(demo.status.success(), "{}", String::from_utf8_lossy(&demo.stderr));
    let demo: Value = serde_json::from_slice(&demo.stdout).unwrap();
    assert_eq!((&demo["holders"], &demo["swipes"], &demo["differences"]), (&json!(300), &json!(40), &json!(0)));
    let answers = demo["answers"].as_array().unwrap();
    for place in ["shop", "hall", "bank branch"] {
        assert!(answers.iter().any(|answer| answer["place"] == place && answer["code"] == "00"), "{place}");
    }
    assert!(answers.iter().any(|answer| answer["code"] == "11"));
}

#[test]
fn load_counts_what_it_sent_in_both_ways() {
    for more in [&[][..], &["--rate", "200"], &["--mix", "inquiry", "--mac", "all", "--beside-echo"]] {
        let args = [&["load", "--terminals", "8", "--seconds", "0.5", "--json"], more].concat();
        let load = xingka(args.iter().map(AsRef::as_ref));
        assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stderr));
        let load: Value = serde_json::from_slice(&load.stdout).unwrap();
        assert!(load["sent"].as_u64().unwrap() > 0);
        assert_eq!((&load["sent"], &load["errors"]), (&load["answered"], &json!(0)));
        for key in ["per_s", "p50_us", "p90_us", "p99_us", "p999_us", "max_us"] {
            assert!(load[key].is_number(), "{key}");
        }
    }
}
