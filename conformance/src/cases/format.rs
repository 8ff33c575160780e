//! Bytes that break the wire's rules, and bytes that come in odd pieces.

use std::time::Instant;

use crate::expect::Want;
use crate::lab::{At, Case, Go, Lab, PURCHASE};

pub(super) const CASES: &[Case] = &[
    Case { id: "missing-fields", title: "a needed field that is missing: 30", run: missing },
    Case {
        id: "malformed",
        title: "trailing bytes, malformed TLV, a tag twice, a letter among digits' neighbours: 30",
        run: malformed,
    },
    Case { id: "unknown-messages", title: "an unknown message type or kind: 40", run: unknown },
    Case { id: "unneeded-fields", title: "well-formed fields that a message doesn't need are ignored", run: unneeded },
    Case { id: "pieces", title: "a frame that comes byte by byte is answered like any other", run: pieces },
    Case { id: "pipelined", title: "several requests in one segment are all answered, in their order", run: pipelined },
    Case { id: "no-frame", title: "bytes that are no frame are dropped; the line goes on", run: no_frame },
];

fn missing(lab: &mut Lab<'_>) -> Go {
    for field in [2, 11, 22, 42, 49] {
        let message = lab.purchase(At::Shop, 1_000)?.without(field);
        lab.ask(At::Shop, &format!("a purchase without F{field}"), &message, &Want::code("30"))?;
    }
    Ok(())
}

fn malformed(lab: &mut Lab<'_>) -> Go {
    let purchase = lab.purchase(At::Shop, 1_000)?;
    let mut trailing = purchase.clone();
    trailing.tail = vec![0];
    lab.ask(At::Shop, "a byte behind the last field", &trailing, &Want::code("30"))?;
    let cases: [(&str, &[u8]); 4] = [
        ("a tag cut short", &[0xDF, 0x01, 5, b'A']),
        ("a length in a longer form than it needs", &[0xDF, 0x03, 0x81, 1, 1]),
        ("a tag twice", &[0xDF, 3, 1, 1, 0xDF, 3, 1, 1]),
        ("a preview flag that is neither 0 nor 1", &[0xDF, 3, 1, 2]),
    ];
    for (what, field) in cases {
        let message = purchase.clone().with(57, field);
        lab.ask(At::Shop, what, &message, &Want::code("30"))?;
    }
    lab.ask(At::Shop, "malformed chip data", &purchase.with(55, [0x9F]), &Want::code("30"))?;
    Ok(())
}

fn unknown(lab: &mut Lab<'_>) -> Go {
    let mut message = lab.purchase(At::Shop, 1_000)?;
    message.mti = 600;
    lab.ask(At::Shop, "MTI 0600", &message, &Want::code("40"))?;
    message.mti = 200;
    let private = message.text(60).replacen("22", "99", 1);
    lab.ask(At::Shop, "type 99 in F60", &message.with(60, private), &Want::code("40"))?;
    Ok(())
}

fn unneeded(lab: &mut Lab<'_>) -> Go {
    let price = lab.bench.price;
    let message = lab.purchase(At::Shop, price.amount_fen)?.with(14, "9912").with(26, "06").with(63, "01");
    let message = message.with_tag(0xDF77, b"later");
    lab.ask(At::Shop, "F14, F26, F63 and an unknown tag", &message, &Want::code("00").told().has(4))?;
    Ok(())
}

fn pieces(lab: &mut Lab<'_>) -> Go {
    let pan = lab.bench.cards.good.clone();
    let message = lab.presented(At::Shop, PURCHASE, &pan, Some(1_000))?;
    let mut station = lab.take(At::Shop)?;
    let frame = message.frame(station.dialect(), station.key()).unwrap_or_default();
    let begun = Instant::now();
    let sent = frame.iter().try_for_each(|byte| station.send(&[*byte]));
    let answer = sent.and_then(|()| station.receive());
    let want = Want::code("00").told().has(4);
    match answer {
        Ok(answer) => {
            let took = begun.elapsed();
            lab.answered(&station, "a purchase, byte by byte", &message, &frame, (answer, took), &want)?;
        }
        Err(error) => {
            lab.ask_with(&mut station, "a purchase, byte by byte", &message, &want)?;
            return Err(lab.note("answer", "an answer", &error.to_string()));
        }
    }
    lab.put_back(At::Shop, station);
    Ok(())
}

fn pipelined(lab: &mut Lab<'_>) -> Go {
    let mut messages = Vec::new();
    for _ in 0..8 {
        messages.push(lab.purchase(At::Shop, 1_000)?);
    }
    let mut station = lab.take(At::Shop)?;
    let frames: Vec<Vec<u8>> =
        messages.iter().map(|message| message.frame(station.dialect(), station.key()).unwrap_or_default()).collect();
    let begun = Instant::now();
    // A line that ends is noticed at the first answer.
    let _ = station.send(&frames.concat());
    for (message, frame) in messages.iter().zip(&frames) {
        let answer = station.receive().unwrap_or_default();
        let took = begun.elapsed();
        let want = Want::code("00").told().has(4);
        lab.answered(&station, "one of eight in a row", message, frame, (answer, took), &want)?;
    }
    lab.put_back(At::Shop, station);
    Ok(())
}

fn no_frame(lab: &mut Lab<'_>) -> Go {
    let mut station = lab.connect(At::Shop)?;
    // A length that no message has, as the dialect counts it.
    let bytes: &[u8] =
        if station.dialect().framing.tpdu { &[0, 5, 0x60, 0, 3, 0, 0] } else { &[0, 4, b'0', b'8', b'0', b'0'] };
    let message = station.message(820, (0, 301));
    let frame = message.frame(station.dialect(), None).unwrap_or_default();
    let both = [bytes, &frame].concat();
    lab.exchange(&mut station, "five bytes and an echo", &message, Some(both), &Want::code("00").unsealed())?;
    Ok(())
}
