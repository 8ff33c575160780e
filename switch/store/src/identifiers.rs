//! The two identity numbers that holders have: 身份证 (GB 11643) and 统一社会信用代码 (GB 32100).
//!
//! Both carry a check character. A 身份证 that fails it was mistyped; a 统一社会信用代码 that
//! fails it may well be on its owner's licence, so a caller decides what a failure means.

use thiserror::Error;
use xingka_core::time::Date;

/// What is wrong with a 身份证. Says where, never what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadIdCard {
    /// Not 17 digits and a digit or X.
    #[error("a 身份证 has 17 digits and then a digit or X")]
    Form,
    /// No such day.
    #[error("the birth date in digits 7 to 14 doesn't exist")]
    BirthDate,
    /// Mistyped.
    #[error("the check character at the end doesn't fit the digits before it")]
    Check,
}

const ID_CARD_WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const ID_CARD_CHECKS: &[u8; 11] = b"10X98765432";

/// Checks a 身份证 and gives it in its one spelling: with a capital X.
pub fn id_card(text: &str) -> Result<String, BadIdCard> {
    let upper = text.to_ascii_uppercase();
    let (digits, check) = id_card_parts(&upper).ok_or(BadIdCard::Form)?;
    let number = |range: std::ops::Range<usize>| digits[range].iter().fold(0, |n, digit| n * 10 + digit);
    Date::from_civil(number(6..10).cast_signed(), number(10..12), number(12..14)).ok_or(BadIdCard::BirthDate)?;
    let sum: u32 = digits.iter().zip(ID_CARD_WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    let right = ID_CARD_CHECKS[(sum % 11) as usize];
    if check == right { Ok(upper) } else { Err(BadIdCard::Check) }
}

fn id_card_parts(text: &str) -> Option<([u32; 17], u8)> {
    let (check, digits) = text.as_bytes().split_last()?;
    let digits: [u8; 17] = digits.try_into().ok()?;
    let right_form = digits.iter().all(u8::is_ascii_digit) && (check.is_ascii_digit() || *check == b'X');
    right_form.then(|| (digits.map(|digit| u32::from(digit - b'0')), *check))
}

const CREDIT_CODE_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

/// Whether a 统一社会信用代码 has 18 characters of its alphabet and the right one of them last.
pub fn credit_code_ok(text: &str) -> bool {
    let value = |byte: &u8| CREDIT_CODE_ALPHABET.iter().position(|known| known == byte);
    let values: Option<Vec<usize>> = text.as_bytes().iter().map(value).collect();
    let Some([body @ .., check]) = values.as_deref() else {
        return false;
    };
    let mut weight = 1;
    let sum: usize = body.iter().fold(0, |sum, value| {
        let term = value * weight;
        weight = weight * 3 % 31;
        sum + term
    });
    body.len() == 17 && *check == (31 - sum % 31) % 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_cards() {
        for (text, expected) in [
            ("11010519491231002X", Ok("11010519491231002X")),
            ("11010519491231002x", Ok("11010519491231002X")),
            ("520181198001010019", Ok("520181198001010019")),
            ("520181198001010018", Err(BadIdCard::Check)),
            ("110105194912310020", Err(BadIdCard::Check)),
            ("520181198002300019", Err(BadIdCard::BirthDate)),
            ("520181198013010019", Err(BadIdCard::BirthDate)),
            ("52018119800101001", Err(BadIdCard::Form)),
            ("5201811980010100190", Err(BadIdCard::Form)),
            ("52018119800101X019", Err(BadIdCard::Form)),
            ("52018119800101001Y", Err(BadIdCard::Form)),
            ("五2018119800101001", Err(BadIdCard::Form)),
            ("", Err(BadIdCard::Form)),
        ] {
            assert_eq!(id_card(text), expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn a_date_that_only_a_leap_year_has() {
        // Digits that fit their check character, so that only the date can be at fault.
        let with_check = |body: &str| {
            let digits = body.bytes().map(|b| u32::from(b - b'0'));
            let sum: u32 = digits.zip(ID_CARD_WEIGHTS).map(|(digit, weight)| digit * weight).sum();
            format!("{body}{}", char::from(ID_CARD_CHECKS[(sum % 11) as usize]))
        };
        assert!(id_card(&with_check("52018120000229001")).is_ok());
        assert_eq!(id_card(&with_check("52018119000229001")), Err(BadIdCard::BirthDate));
    }

    #[test]
    fn credit_codes() {
        for (text, ok) in [
            ("91350100M000100Y43", true),
            ("91512081MA62K0260E", true),
            ("91512081MA62K0260F", false),
            ("91350100M000100Y34", false),
            ("91350100m000100y43", false),
            ("91350100M000100I43", false),
            ("91350100M000100Y4", false),
            ("0", false),
            ("", false),
        ] {
            assert_eq!(credit_code_ok(text), ok, "{text}");
        }
    }
}
