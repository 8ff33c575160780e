//! Sign-in, sign-off, echo, and the keys in between.

use xingka_wire::mti::Command;
use xingka_wire::session_keys::KeyLayout;

use crate::expect::Want;
use crate::lab::{At, Case, Go, Lab};

pub(super) const CASES: &[Case] = &[
    Case { id: "echo", title: "an echo is answered 00, before any sign-in", run: echo },
    Case { id: "sign-in", title: "a sign-in gives the open batch and keys with right check values", run: sign_in },
    Case {
        id: "sign-in-layouts",
        title: "every network code gives its keys, or 58 where they can't serve the MAC",
        run: layouts,
    },
    Case {
        id: "two-keys",
        title: "after a second sign-in, requests under the former keys are still answered, each under its own",
        run: two_keys,
    },
    Case {
        id: "without-session",
        title: "without a session: 77, no MAC, and the command to sign in",
        run: without_session,
    },
    Case { id: "unknown-terminal", title: "an unknown terminal is answered 97, without a MAC", run: unknown_terminal },
    Case {
        id: "keys-not-connections",
        title: "session keys and batch belong to the terminal, not to its connection",
        run: another_line,
    },
];

fn echo(lab: &mut Lab<'_>) -> Go {
    let mut station = lab.connect(At::Shop)?;
    let message = station.message(820, (0, 301));
    lab.exchange(&mut station, "an echo", &message, None, &Want::code("00").unsealed())?;
    Ok(())
}

fn sign_in(lab: &mut Lab<'_>) -> Go {
    lab.station(At::Shop)?;
    lab.bought(At::Shop)?;
    Ok(())
}

fn layouts(lab: &mut Lab<'_>) -> Go {
    let all = [KeyLayout::Des, KeyLayout::Tdes, KeyLayout::TdesWithTrack, KeyLayout::Sm4, KeyLayout::Sm4WithTrack];
    for layout in all {
        let mut station = lab.connect(At::ShopTwo)?;
        if layout.mac_key_bytes(station.mac()).is_some() {
            lab.sign_in(&mut station, layout)?;
            continue;
        }
        let message = station.message(800, (0, u32::from(layout.network_code())));
        let what = format!("sign-in {:03}, whose keys can't serve this MAC", layout.network_code());
        lab.exchange(&mut station, &what, &message, None, &Want::code("58").unsealed())?;
    }
    Ok(())
}

fn two_keys(lab: &mut Lab<'_>) -> Go {
    let mut former = lab.take(At::ShopTwo)?;
    let mut newer = lab.connect(At::ShopTwo)?;
    newer.stan = former.stan;
    let layout = newer.layout();
    lab.sign_in(&mut newer, layout)?;
    let pan = lab.bench.cards.good.clone();
    for (what, station) in [("under the former keys", &mut former), ("under the new keys", &mut newer)] {
        // The two share a terminal, and with it its trace numbers.
        station.stan += 100;
        let message = station.message(200, (1, 0));
        let message = message.with(2, &pan).with(3, "310000").with(22, "072").with(25, "00").with(49, "156");
        lab.ask_with(station, what, &message, &Want::code("00").told())?;
        station.stan += 100;
    }
    newer.stan = newer.stan.max(former.stan);
    lab.put_back(At::ShopTwo, newer);
    Ok(())
}

fn without_session(lab: &mut Lab<'_>) -> Go {
    let mut station = lab.take(At::ShopTwo)?;
    let message = station.message(820, (0, 2));
    lab.exchange(&mut station, "a sign-off", &message, None, &Want::code("00").unsealed())?;
    let pan = lab.bench.cards.good.clone();
    let message = station.message(200, (1, 0));
    let message = message.with(2, &pan).with(3, "310000").with(22, "072").with(25, "00").with(49, "156");
    let tpdu = station.dialect().framing.tpdu;
    let want = Want::code("77").unsealed();
    let want = if tpdu { want.commanding(Command::SignIn) } else { want };
    lab.ask_with(&mut station, "an inquiry after it", &message, &want)?;
    let layout = station.layout();
    lab.sign_in(&mut station, layout)?;
    lab.put_back(At::ShopTwo, station);
    Ok(())
}

fn unknown_terminal(lab: &mut Lab<'_>) -> Go {
    let mut station = lab.connect(At::Shop)?;
    let message = station.message(800, (0, 3)).with(41, "ZZ999999");
    lab.exchange(&mut station, "a sign-in", &message, None, &Want::code("97").unsealed())?;
    let message = station.message(820, (0, 301)).with(42, "999999999999999");
    lab.exchange(&mut station, "an echo in another merchant's name", &message, None, &Want::code("58").unsealed())?;
    Ok(())
}

fn another_line(lab: &mut Lab<'_>) -> Go {
    let mut station = lab.take(At::Shop)?;
    lab.redial(At::Shop, &mut station)?;
    lab.put_back(At::Shop, station);
    lab.bought(At::Shop)?;
    Ok(())
}
