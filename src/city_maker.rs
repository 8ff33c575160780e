//! Synthetic cities: the same folder for the same seed. All people, cards and firms are
//! made up; cards are of the unallocated BIN 629999.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use xingka_core::pan::luhn_ok;
use xingka_wire::mac::MacAlgorithm;

/// How large a city is made.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Holders; each has a card.
    pub holders: usize,
    /// Shops.
    pub shops: usize,
    /// Halls, and as many bank branches.
    pub halls: usize,
    /// Terminals at each place.
    pub terminals_each: usize,
    /// How their messages are sealed, in turn.
    pub macs: &'static [MacAlgorithm],
}

/// A card of a made city.
pub type Pan = String;

const CATEGORIES: [&str; 4] = ["farmer", "resident", "staff", "enterprise"];
const SHOPS: [&str; 6] = ["诚信超市", "山水酒店", "惠民药店", "星光书店", "老街面馆", "车来车往洗车"];

/// Writes a city folder and returns its cards' numbers.
pub fn make(dir: &Path, size: Size, seed: u64) -> Result<Vec<Pan>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let pans = pans(size.holders, &mut random);
    let places = places(size);
    let files = [
        ("holders.csv", holders(size.holders, &mut random)),
        ("cards.csv", cards(&pans, &mut random)),
        ("merchants.csv", merchants(&places)),
        ("terminals.csv", terminals(&places, size, &mut random)),
        ("benefits.csv", benefits(&places)),
    ];
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    for (name, text) in files {
        let path = dir.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(pans)
}

fn pans(count: usize, random: &mut fastrand::Rng) -> Vec<Pan> {
    // Counted, so that no two are the same, in an order that nobody guesses.
    let mut serials: Vec<usize> = (1..=count).collect();
    random.shuffle(&mut serials);
    serials.into_iter().map(|serial| with_check_digit(&format!("629999{serial:012}"))).collect()
}

fn with_check_digit(digits: &str) -> Pan {
    let candidates = (0..10).map(|check| format!("{digits}{check}"));
    // One of ten always fits.
    candidates.into_iter().find(|pan| luhn_ok(pan.as_bytes())).unwrap_or_default()
}

fn holders(count: usize, random: &mut fastrand::Rng) -> String {
    let mut text = String::from("holder_id,category,star,status\n");
    for number in 0..count {
        let category = CATEGORIES[random.usize(0..CATEGORIES.len())];
        let status = if random.u8(0..50) == 0 { "suspended" } else { "active" };
        line(&mut text, format_args!("H{number:07},{category},{},{status}", random.u8(0..=5)));
    }
    text
}

fn cards(pans: &[Pan], random: &mut fastrand::Rng) -> String {
    let mut text = String::from("pan,holder_id,status,expires\n");
    for (number, pan) in pans.iter().enumerate() {
        let status = if random.u8(0..60) == 0 { "lost" } else { "active" };
        line(&mut text, format_args!("{pan},H{number:07},{status},2039-12"));
    }
    text
}

struct Place {
    id: String,
    name: String,
    kind: &'static str,
}

fn places(size: Size) -> Vec<Place> {
    let place = |kind: &'static str, mcc: u16, number: usize, name: String| Place {
        id: format!("9995201{mcc}{number:04}"),
        name,
        kind,
    };
    let shops = (1..=size.shops).map(|n| place("merchant", 5399, n, format!("{}{n}号店", SHOPS[n % SHOPS.len()])));
    let halls = (1..=size.halls).map(|n| place("hall", 9399, n, format!("第{n}政务服务大厅")));
    let banks = (1..=size.halls).map(|n| place("bank", 6012, n, format!("农商银行第{n}支行")));
    shops.chain(halls).chain(banks).collect()
}

fn merchants(places: &[Place]) -> String {
    let mut text = String::from("merchant_id,name,kind,mcc,circle,region\n");
    for Place { id, name, kind } in places {
        let circle = if *kind == "merchant" { "member" } else { "none" };
        line(&mut text, format_args!("{id},{name},{kind},{},{circle},520181", &id[7..11]));
    }
    text
}

fn terminals(places: &[Place], size: Size, random: &mut fastrand::Rng) -> String {
    let mut text = String::from("terminal_id,merchant_id,profile,mac,tmk,scope\n");
    let mut number = 0;
    for Place { id, kind, .. } in places {
        let scope = match *kind {
            "merchant" => "discount",
            "hall" => "priority",
            _ => "discount+priority+star",
        };
        for _ in 0..size.terminals_each {
            let (mac, tmk) = (size.macs[number % size.macs.len()], random.u128(..));
            line(&mut text, format_args!("D{number:07},{id},cup,{mac},{tmk:032X},{scope}"));
            number += 1;
        }
    }
    text
}

fn benefits(places: &[Place]) -> String {
    let mut text = String::from(
        "benefit_id,provider,title,kind,service,audience,s1,s2,s3,s4,s5,valid_from,valid_to,weekdays,hours,\
         min_amount,max_off,budget,per_day,per_month,per_holder,group,stack,legal_basis\n",
    );
    let mut id = 0;
    for (number, Place { id: provider, kind, .. }) in places.iter().enumerate() {
        let rows: &[(&str, &str, &str, &str)] = match *kind {
            // Title, kind, what stars 1 to 5 get, and from min_amount to stack.
            "merchant" if number % 3 == 0 => &[
                ("星级折扣", "discount", "0,0,500,1000,2000", ",,,,,,,"),
                ("诚信立减", "amount_off", "0,100,200,300,500", "5000,,,1,,,,yes"),
            ],
            "merchant" if number % 3 == 1 => &[
                ("八折优惠", "discount", "0,0,0,1500,2000", ",5000,,,10,,,"),
                ("满百减十", "amount_off", "1000,1000,1000,1000,1000", "10000,,,,,,,"),
            ],
            "merchant" => &[("诚信折扣", "discount", "200,400,600,800,1200", ",,,,,,,")],
            "hall" => &[
                ("绿色通道", "priority", "0,0,1,1,2", ",,,,,,,"),
                ("缩短时限", "faster", "0,1,2,3,5", ",,,,,,,"),
                ("免复印费", "fee_waiver", "0,0,0,1,1", ",,,,,,,"),
            ],
            _ => &[
                ("贵宾窗口", "priority", "0,0,0,1,2", ",,,,,,,"),
                ("手续费优惠", "discount", "0,0,1000,2000,5000", ",,,,,,,"),
            ],
        };
        for (title, kind, stars, limits) in rows {
            id += 1;
            line(
                &mut text,
                format_args!(
                    "{id},{provider},{title},{kind},,,{stars},2020-01-01,2039-12-31,,,{limits},示范城市诚信办〔2026〕1号"
                ),
            );
        }
    }
    text
}

fn line(text: &mut String, row: std::fmt::Arguments<'_>) {
    // Writing to a string can't fail.
    let _ = writeln!(text, "{row}");
}
