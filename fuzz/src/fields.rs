//! TLV and session keys: what is read is written again to the same bytes.

use xingka_wire::integrity::{IntegrityAnswer, IntegrityRequest, MAX_INTEGRITY_BYTES};
use xingka_wire::mac::MacAlgorithm;
use xingka_wire::session_keys::{KeyLayout, MAX_KEY_FIELD_BYTES, SessionKeys, Tmk};
use xingka_wire::tlv::{self, Tlvs};

/// Field 57 of requests and answers, and any TLV.
pub fn check_tlv(bytes: &[u8]) {
    let walked: usize = Tlvs::new(bytes).flatten().map(|tlv| tlv.value.len() + 2).sum();
    assert!(walked <= bytes.len(), "values reach past the field");
    let whole = tlv::check(bytes, |_| true);
    if tlv::check(bytes, |_| false).is_ok() {
        assert!(whole.is_ok(), "stricter and yet accepted");
    }
    let mut buffer = [0; MAX_INTEGRITY_BYTES];
    if let Ok(request) = IntegrityRequest::decode(bytes) {
        let _ = format!("{request:?}");
        // One that was longer than the field may be can't be written again.
        if let Some(written) = request.encode(&mut buffer) {
            assert_eq!(IntegrityRequest::decode(written), Ok(request));
        }
    }
    let mut buffer = [0; MAX_INTEGRITY_BYTES];
    if let Ok(answer) = IntegrityAnswer::decode(bytes) {
        let _ = format!("{answer:?}");
        if let Some(written) = answer.encode(&mut buffer) {
            assert_eq!(IntegrityAnswer::decode(written), Ok(answer));
        }
    }
}

/// Field 62 of a sign-in's answer, under a TMK of its own first bytes.
pub fn check_keys(bytes: &[u8]) {
    let Some((front, field)) = bytes.split_at_checked(18) else { return };
    let layouts = [1, 3, 4, 5, 6].map(KeyLayout::by_network_code);
    let Some(layout) = layouts[usize::from(front[16]) % layouts.len()] else { return };
    let algorithm = MacAlgorithm::ALL[usize::from(front[17]) % MacAlgorithm::ALL.len()];
    let tmk = Tmk::new(front[..16].try_into().expect("sixteen bytes"));
    let Ok(keys) = SessionKeys::unwrap(layout, algorithm, &tmk, field) else { return };
    assert_eq!(Some(keys.mac_key().len()), layout.mac_key_bytes(algorithm));
    let mut again = [0; MAX_KEY_FIELD_BYTES];
    let length = keys.wrap(layout, &tmk, &mut again);
    let unwrapped = SessionKeys::unwrap(layout, algorithm, &tmk, &again[..length]).expect("what was wrapped");
    assert_eq!((unwrapped.mac_key(), unwrapped.pin_key()), (keys.mac_key(), keys.pin_key()));
    // DES ignores a bit in each byte, so keys may differ where their encryption doesn't.
    assert_eq!(length, field.len());
}
