//! What a running switch tells terminals to do: new keys, new software, parameters.

mod support;

use std::time::{Duration, Instant};

use support::{Deployment, PORTS, Serving, Till, exchange, pan};
use xingka_terminal::TerminalFault;
use xingka_wire::dialect::CUP;
use xingka_wire::frame::{Step, next_frame};
use xingka_wire::mti::Command;
use xingka_wire::parameters::{Parameters, Software};

/// The command in the answer to a purchase, which must be approved.
fn command(till: &mut Till) -> Command {
    let (sent, frame) = till.purchase(&pan(1), 100);
    let answer = exchange(&mut till.stream, &frame);
    let answer = till.terminal.read(&sent, &answer).unwrap();
    assert_eq!(answer.code.to_string(), "00");
    answer.head.command().unwrap()
}

/// Asks until the answers tell something else: a change is in force within a second.
fn until_told(till: &mut Till, expected: Command) {
    let until = Instant::now() + Duration::from_secs(20);
    while command(till) != expected {
        assert!(Instant::now() < until, "never told {expected:?}");
    }
}

fn serve(deployment: &Deployment, terminals: &str) -> Serving {
    deployment.configure(&format!("{PORTS}[terminals]\n{terminals}"));
    deployment.serve()
}

#[test]
fn keys_are_rotated_in_the_middle_of_traffic() {
    let deployment = Deployment::with_city();
    let serving = deployment.serve();
    let mut tills = [Till::signed_in(serving.address, 0), Till::signed_in(serving.address, 1)];
    assert!(tills.iter_mut().all(|till| command(till) == Command::None));
    assert_eq!(deployment.json(&["terminal", "rotate", "QZ000000"])["asked"], 1);
    let [first, second] = &mut tills;
    until_told(first, Command::SignIn);
    assert_eq!(command(second), Command::None, "only the one that was named");
    // Requests under the old keys are answered all along, also after the sign-in.
    let mut old = first.terminal.clone();
    first.sign_in();
    assert_eq!(command(first), Command::None);
    std::mem::swap(&mut old, &mut first.terminal);
    first.terminal.set_next_stan(500);
    assert_eq!(command(first), Command::None, "what is under way is sealed with the old keys");
    assert_eq!(deployment.json(&["terminal", "rotate", "--all"])["asked"], 9);
    until_told(second, Command::SignIn);
    // A restart doesn't forget who has been asked.
    drop(serving.kill());
    let serving = deployment.serve();
    second.stream = support::connect(serving.address);
    assert_eq!(command(second), Command::SignIn);
    let unknown = deployment.run(&["terminal", "rotate", "ZZ999999"]);
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no terminal ZZ999999"));
}

#[test]
fn parameters_are_fetched_once_and_only_under_the_sessions_key() {
    let deployment = Deployment::with_city();
    let serving = serve(&deployment, "heartbeat_s = 45\noffline_max_fen = 20000\noffline_max_count = 5\n");
    let mut till = Till::signed_in(serving.address, 0);
    assert_eq!(command(&mut till), Command::FetchParameters);
    let (sent, frame) = till.write(|terminal, frame| terminal.ask_for_parameters(0, frame));
    let answer = exchange(&mut till.stream, &frame);
    let told = till.terminal.parameters(&sent, &answer).unwrap().unwrap();
    let expected = Parameters {
        heartbeat_s: Some(45),
        deadline_ms: Some(3_000),
        offline_max_fen: Some(20_000),
        offline_max_count: Some(5),
        ..Parameters::default()
    };
    assert_eq!((told.parameters, told.sealed), (expected, Some(true)));
    assert_eq!(command(&mut till), Command::None, "fetched");
    // Changed on its way, or another one's: refused.
    let mut changed = answer.clone();
    let at = changed.windows(2).position(|two| two == [0, 45]).unwrap();
    changed[at + 1] = 46;
    assert_eq!(till.terminal.parameters(&sent, &changed).unwrap_err(), TerminalFault::WrongMac);
    // Whoever only says that it is that terminal doesn't keep it from being told.
    let mut other = Till::signed_in(serving.address, 1);
    let mut stranger = Till::connect(serving.address, 1);
    let (_, frame) = stranger.write(|terminal, frame| terminal.ask_for_parameters(0, frame));
    exchange(&mut stranger.stream, &frame);
    assert_eq!(command(&mut other), Command::FetchParameters);
    // A plain echo gets none.
    let (sent, frame) = till.write(|terminal, frame| terminal.echo(frame));
    let answer = exchange(&mut till.stream, &frame);
    assert_eq!(till.terminal.parameters(&sent, &answer), Ok(None));
}

#[test]
fn older_software_is_told_to_update() {
    let deployment = Deployment::with_city();
    let serving = serve(&deployment, "software = \"31.310101\"\n");
    let mut till = Till::signed_in(serving.address, 0);
    assert_eq!(command(&mut till), Command::UpdateSoftware);
    let (_, mut frame) = till.purchase(&pan(1), 100);
    // Bytes 7 to 12 are the header; its last three the sub-version. The head isn't under the MAC.
    frame[10..13].copy_from_slice(&[0x31, 0x01, 0x01]);
    let answer = exchange(&mut till.stream, &frame);
    let Step::Frame(answer, _) = next_frame(&[&CUP], &answer) else { panic!("no frame") };
    assert_eq!(answer.head.software(), Software { version: 0x31, sub_version: [0x31, 0x01, 0x01] });
    assert_eq!(answer.head.command(), Some(Command::FetchParameters), "it runs what it should");
}
