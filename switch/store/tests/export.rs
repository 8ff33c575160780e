//! What comes out goes in again.

mod support;

use std::fs;

use support::*;
use xingka_store::city_folder::export;

on_both!(
    an_export_changes_nothing_here_and_makes_the_same_city_elsewhere,
    texts_come_out_exactly_as_they_went_in,
    no_number_and_no_key_comes_out,
    files_are_replaced_whole_and_nothing_is_left_over,
);

async fn an_export_changes_nothing_here_and_makes_the_same_city_elsewhere(engine: Engine) {
    let here = Deployment::on(engine).await;
    here.import(&sample_city()).await.unwrap();
    let dir = here.path("export");
    let report = export(&here.store, &dir).await.unwrap();
    let expected =
        [("holders.csv", 300), ("merchants.csv", 10), ("cards.csv", 375), ("terminals.csv", 20), ("benefits.csv", 90)];
    assert_eq!(report.files, expected);
    for file in here.import(&dir).await.unwrap().files {
        assert_eq!((file.loaded, file.unchanged, file.rejected), (0, file.read, 0), "{}", file.file);
    }
    let elsewhere = Deployment::on(engine).await;
    elsewhere.import(&dir).await.unwrap();
    assert_eq!(elsewhere.exported().await, here.exported().await);
    assert_eq!(elsewhere.store.terminals().await.unwrap(), here.store.terminals().await.unwrap());
}

async fn texts_come_out_exactly_as_they_went_in(engine: Engine) {
    let deployment = Deployment::on(engine).await;
    let holders = "holder_id,category,star,status,name,id_no\n\
        =1+1,farmer,0,active,\"a \"\"quoted\"\", name\",\n@H,enterprise,1,withdrawn, -空格 ,no code\n";
    let merchants = MERCHANTS.replace("诚信一号店", "\"+店,\"\"一\"\"\"").replace("520181", "");
    deployment.import_files(&[("holders.csv", holders), ("merchants.csv", &merchants)]).await.unwrap();
    let exported = deployment.exported().await;
    assert_eq!((&exported[0].1, &exported[1].1), (&holders.to_owned(), &merchants));
}

async fn no_number_and_no_key_comes_out(engine: Engine) {
    let deployment = Deployment::filled_on(engine).await;
    let exported = deployment.exported().await;
    for (name, text) in &exported {
        assert!(!text.contains("6299990000000000012") && !text.to_lowercase().contains("b4dd30d6"), "{name}");
    }
    let cards = &exported[2].1;
    assert!(cards.starts_with("pan_key,bin,last4,holder_id,status,expires\n"));
    assert!(cards.ends_with(",629999,0012,H1,active,2031-12\n"));
}

async fn files_are_replaced_whole_and_nothing_is_left_over(engine: Engine) {
    let deployment = Deployment::filled_on(engine).await;
    let dir = deployment.path("export");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("cards.csv"), "old").unwrap();
    export(&deployment.store, &dir).await.unwrap();
    let mut names: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["benefits.csv", "cards.csv", "holders.csv", "merchants.csv", "terminals.csv"]);
}
