//! City folders, good and bad as a whole.

mod support;

use std::fs;

use encoding_rs::GB18030;
use support::*;
use xingka_core::pan::CardHasher;
use xingka_store::StoreError;
use xingka_store::city_folder::{ImportError, ImportKeys, Phase, import};
use xingka_store::vault::MasterKey;

on_both!(
    the_sample_city_is_loaded_and_a_second_time_nothing_changes,
    three_encodings_give_the_same_city,
    one_bad_row_keeps_its_file_out_and_no_other,
    a_later_import_removes_what_a_former_one_rejected,
    columns_stand_in_any_order,
    a_credit_code_that_fails_is_loaded_and_flagged,
    a_change_loads_only_what_changed,
    the_same_terminal_key_again_changes_nothing_and_opens,
    folders_that_are_none,
    other_keys_than_the_stores_are_refused,
    progress_is_told_for_each_file,
);

async fn the_sample_city_is_loaded_and_a_second_time_nothing_changes(engine: Engine) {
    let deployment = Deployment::on(engine).await;
    let first = deployment.import(&sample_city()).await.unwrap();
    let expected =
        [("holders.csv", 300), ("merchants.csv", 10), ("cards.csv", 375), ("terminals.csv", 20), ("benefits.csv", 90)];
    for (file, (name, rows)) in first.files.iter().zip(expected) {
        assert_eq!((file.file, counts(file)), (name, (rows, rows, 0, 0)));
    }
    let before = deployment.store.counts().await.unwrap();
    let city = deployment.city().await;
    let second = deployment.import(&sample_city()).await.unwrap();
    for (file, (name, rows)) in second.files.iter().zip(expected) {
        assert_eq!((file.file, counts(file)), (name, (rows, 0, rows, 0)));
    }
    assert_eq!(deployment.store.counts().await.unwrap(), before);
    assert_eq!(before.rule_books, 1);
    assert_eq!(city.catch_up(&deployment.store).await.unwrap(), 0);
}

async fn three_encodings_give_the_same_city(engine: Engine) {
    let utf8 = Deployment::filled_on(engine).await;
    let gb = CITY.map(|(name, text)| (name, GB18030.encode(text).0.into_owned()));
    let marked = CITY.map(|(name, text)| (name, [b"\xEF\xBB\xBF", text.as_bytes()].concat()));
    let dos = CITY.map(|(name, text)| (name, text.replace('\n', "\r\n").into_bytes()));
    for files in [gb, marked, dos] {
        let other = Deployment::on(engine).await;
        other.import_files(&files).await.unwrap();
        assert_eq!(other.exported().await, utf8.exported().await);
    }
}

async fn one_bad_row_keeps_its_file_out_and_no_other(engine: Engine) {
    let deployment = Deployment::on(engine).await;
    let holders = "holder_id,category,star,status\nH1,farmer,5,active\nH2,farmer,6,active\n\nH3,peasant,5,gone\n";
    let report = deployment.import_files(&[("holders.csv", holders), ("merchants.csv", MERCHANTS)]).await.unwrap();
    let [bad, good] = &report.files[..] else { panic!("{report:?}") };
    assert_eq!((counts(bad), counts(good)), ((3, 0, 0, 2), (1, 1, 0, 0)));
    let counts = deployment.store.counts().await.unwrap();
    assert_eq!((counts.holders, counts.merchants), (0, 1));
    let rejects = fs::read_to_string(bad.reject_file.as_ref().unwrap()).unwrap();
    assert_eq!(
        rejects,
        "line,column,reason\n\
         3,star,must be a whole number from 0 to 5\n\
         5,category,\"must be one of farmer, resident, staff, enterprise\"\n\
         5,status,\"must be one of active, suspended, withdrawn\"\n"
    );
}

async fn a_later_import_removes_what_a_former_one_rejected(engine: Engine) {
    let deployment = Deployment::on(engine).await;
    let bad = deployment.import_file("holders.csv", "holder_id\nH1\n").await;
    let rejects = bad.reject_file.unwrap();
    assert!(rejects.starts_with(deployment.rejects()) && rejects.exists());
    deployment.import_file("holders.csv", HOLDERS).await;
    assert!(!rejects.exists());
}

async fn columns_stand_in_any_order(engine: Engine) {
    let deployment = Deployment::on(engine).await;
    let holders = "status,id_no,star,name,holder_id,category\nactive,11010519491231002x,5,张三,H1,farmer\n";
    assert_eq!(counts(&deployment.import_file("holders.csv", holders).await), (1, 1, 0, 0));
    let exported = &deployment.exported().await[0].1;
    assert_eq!(exported, "holder_id,category,star,status,name,id_no\nH1,farmer,5,active,张三,11010519491231002X\n");
}

async fn a_credit_code_that_fails_is_loaded_and_flagged(engine: Engine) {
    let deployment = Deployment::on(engine).await;
    let holders = "holder_id,category,star,status,id_no\n\
        H1,enterprise,5,active,91350100M000100Y43\nH2,enterprise,5,active,91350100M000100Y44\nH3,enterprise,5,active,\n";
    let report = deployment.import_file("holders.csv", holders).await;
    assert_eq!((counts(&report), report.flagged), ((3, 3, 0, 0), 1));
}

async fn a_change_loads_only_what_changed(engine: Engine) {
    let deployment = Deployment::filled_on(engine).await;
    let number = deployment.store.holder_no("H2").await.unwrap();
    let holders = HOLDERS.replace("H1,farmer,5", "H1,farmer,4") + "H9,staff,1,active\n";
    assert_eq!(counts(&deployment.import_file("holders.csv", holders).await), (3, 2, 1, 0));
    assert_eq!(deployment.store.holder_no("H2").await.unwrap(), number);
    // What a file doesn't have stays.
    let one = deployment.import_file("holders.csv", "holder_id,category,star,status\nH1,farmer,4,active\n").await;
    assert_eq!(counts(&one), (1, 0, 1, 0));
    assert_eq!(deployment.store.counts().await.unwrap().holders, 3);
}

async fn the_same_terminal_key_again_changes_nothing_and_opens(engine: Engine) {
    let deployment = Deployment::filled_on(engine).await;
    assert_eq!(counts(&deployment.import_file("terminals.csv", TERMINALS).await), (1, 0, 1, 0));
    let other = TERMINALS.replace("B4DD", "B4DE");
    assert_eq!(counts(&deployment.import_file("terminals.csv", other).await), (1, 1, 0, 0));
    let terminals = deployment.store.terminals().await.unwrap();
    let tmk = deployment.master.reveal_tmk(terminals[0].terminal.id, &terminals[0].tmk_wrapped).unwrap();
    assert_eq!(tmk[..3], [0xB4, 0xDE, 0x30]);
}

async fn folders_that_are_none(engine: Engine) {
    let deployment = Deployment::on(engine).await;
    let empty = tempfile::tempdir().unwrap();
    let error = deployment.import(empty.path()).await.unwrap_err();
    assert!(matches!(error, ImportError::Nothing { .. }), "{error}");
    let error = deployment.import(&empty.path().join("nowhere")).await.unwrap_err();
    assert!(matches!(error, ImportError::NoFolder { .. }), "{error}");
}

async fn other_keys_than_the_stores_are_refused(engine: Engine) {
    let deployment = Deployment::filled_on(engine).await;
    let (master, card_hash) = (MasterKey::new([9; 32]), CardHasher::new(&[9; 32]));
    for keys in [
        ImportKeys { master: &master, card_hash: &deployment.card_hash },
        ImportKeys { master: &deployment.master, card_hash: &card_hash },
    ] {
        let result = import(&deployment.store, &sample_city(), &keys, &deployment.rejects(), &mut |_| ()).await;
        assert!(matches!(result, Err(ImportError::Store(StoreError::WrongKey { .. }))), "{result:?}");
        assert!(deployment.store.check_keys(keys.master, keys.card_hash).await.is_err());
    }
    deployment.store.check_keys(&deployment.master, &deployment.card_hash).await.unwrap();
}

async fn progress_is_told_for_each_file(engine: Engine) {
    let deployment = Deployment::on(engine).await;
    let keys = ImportKeys { master: &deployment.master, card_hash: &deployment.card_hash };
    let mut last = Vec::new();
    let mut note = |progress: xingka_store::city_folder::Progress| {
        if progress.phase == Phase::Loading && progress.done == progress.total {
            last.push((progress.file, progress.total));
        }
    };
    import(&deployment.store, &sample_city(), &keys, &deployment.rejects(), &mut note).await.unwrap();
    let files =
        [("holders.csv", 300), ("merchants.csv", 10), ("cards.csv", 375), ("terminals.csv", 20), ("benefits.csv", 90)];
    assert_eq!(last, files);
}

#[tokio::test]
async fn nothing_secret_is_in_the_store_or_the_rejects() {
    let deployment = Deployment::filled().await;
    let cards = CARDS.to_owned() + "6299990000000000012,H1,active,2031-12\n6299990000000000013,H1,active,2031-12\n";
    deployment.import_file("cards.csv", cards).await;
    let shifted = "pan,holder_id,status,expires\nH1,active,6299990000000000012,2031-12\n";
    let report = deployment.import_file("cards.csv", shifted).await;
    deployment.store.close().await;
    let tmk = hex::decode("B4DD30D6B696EF2A1D79EB10FBDAD444").unwrap();
    let mut told = format!("{report:?}").into_bytes();
    for file in ["xingka.db", "rejects/cards.csv.rejects.csv"] {
        told.extend(fs::read(deployment.path(file)).unwrap());
    }
    for secret in [&b"62999900000000000"[..], &tmk, b"B4DD30D6B696EF2A", b"b4dd30d6b696ef2a"] {
        assert!(!told.windows(secret.len()).any(|window| window == secret));
    }
}
