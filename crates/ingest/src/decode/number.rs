//! Short decimals and timestamps out of bytes, eight digits at a time. What it can't read exactly it leaves to the
//! standard library, so it never rounds differently.

/// Powers of ten that an `f64` holds exactly: 10²² is the largest, since 5²² < 2⁵³ < 5²³.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Powers of ten below 10⁸, for the digits that are fewer than eight.
const SCALES: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// Largest mantissa that an `f64` holds exactly, as all below it.
const MANTISSA_MAX: u64 = 1 << 53;

/// Most digits that can't overflow a `u64`.
const DIGITS_MAX: usize = 19;

/// Reads the decimal digits at the start of `bytes`, appends them to `value` and says how many there were. Past
/// [`DIGITS_MAX`] digits the value is meaningless (it wraps); the caller looks at the number.
#[inline(always)]
fn digits(bytes: &[u8], value: &mut u64) -> usize {
    let mut n_read = 0;
    while let Some(chunk) = bytes.get(n_read..).and_then(<[u8]>::first_chunk::<8>) {
        // A digit is now 0 to 9, the first of them in the lowest byte.
        let eight = u64::from_le_bytes(*chunk) ^ 0x3030_3030_3030_3030;
        // The high bit of each byte that is no digit. A carry only reaches bytes after one that is marked already.
        let others = (eight.wrapping_add(0x7676_7676_7676_7676) | eight) & 0x8080_8080_8080_8080;
        let n_digits = others.trailing_zeros() as usize / 8;
        match SCALES.get(n_digits) {
            Some(_) if n_digits == 0 => return n_read,
            // Shifting the digits up leaves zeros before them.
            Some(scale) => {
                *value = value.wrapping_mul(*scale).wrapping_add(eight_digits(eight << (64 - 8 * n_digits)));
                return n_read + n_digits;
            }
            None => *value = value.wrapping_mul(100_000_000).wrapping_add(eight_digits(eight)),
        }
        n_read += 8;
    }
    for byte in bytes.iter().skip(n_read) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        *value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        n_read += 1;
    }
    n_read
}

/// Eight digits, one a byte, the first in the lowest byte, as a number: pairs, then fours, then all, in three
/// multiplications (D. Lemire, "Number parsing at a gigabyte per second", Software: Practice and Experience 51, 2021).
#[inline(always)]
fn eight_digits(digits: u64) -> u64 {
    const PAIRS: u64 = 0x0000_00ff_0000_00ff;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let outer = (pairs & PAIRS).wrapping_mul(0x000f_4240_0000_0064);
    let inner = ((pairs >> 16) & PAIRS).wrapping_mul(0x0000_2710_0000_0001);
    outer.wrapping_add(inner) >> 32
}

/// The decimal at the start of `bytes` and its length, if it is short enough to be exact.
///
/// A mantissa up to 2⁵³ and a power of ten up to 10²² are both exact in an `f64`, so that their one product or quotient is
/// rounded once, which makes it the nearest (W. D. Clinger, "How to read floating point numbers accurately", PLDI 1990,
/// the fast path). `None` where that doesn't hold, or for another notation: then the standard library decides.
#[inline(always)]
pub(super) fn short_decimal(bytes: &[u8]) -> Option<(f64, usize)> {
    let is_negative = *bytes.first()? == b'-';
    let mut at = usize::from(is_negative);
    let mut mantissa = 0;
    let n_whole = digits(bytes.get(at..)?, &mut mantissa);
    at += n_whole;
    let mut n_fraction = 0;
    if bytes.get(at) == Some(&b'.') {
        n_fraction = digits(bytes.get(at + 1..)?, &mut mantissa);
        at += 1 + n_fraction;
        if n_fraction == 0 {
            return None;
        }
    }
    if n_whole == 0 || n_whole + n_fraction > DIGITS_MAX || mantissa > MANTISSA_MAX {
        return None;
    }
    let mut power = -(n_fraction as i64);
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let (written, n_read) = exponent(bytes.get(at + 1..)?)?;
        power += written;
        at += 1 + n_read;
    }
    let scale = *POWERS.get(power.unsigned_abs() as usize)?;
    let magnitude = if power < 0 { mantissa as f64 / scale } else { mantissa as f64 * scale };
    Some((if is_negative { -magnitude } else { magnitude }, at))
}

/// What follows the `e`.
fn exponent(bytes: &[u8]) -> Option<(i64, usize)> {
    let sign = *bytes.first()?;
    let at = usize::from(matches!(sign, b'+' | b'-'));
    let mut value = 0;
    let n_digits = digits(bytes.get(at..)?, &mut value);
    // Two digits are all that POWERS needs.
    (1..=2).contains(&n_digits).then_some((if sign == b'-' { -(value as i64) } else { value as i64 }, at + n_digits))
}

/// The moment in milliseconds at the start of `bytes`, written in seconds with at most three decimals as Prometheus does,
/// and its length.
///
/// It is the same as reading an `f64` and rounding its thousandfold: below 10¹² seconds both roundings together are off by
/// less than a quarter of a millisecond. `None` for any other notation.
#[inline(always)]
pub(super) fn unix_millis(bytes: &[u8]) -> Option<(i64, usize)> {
    let mut value = 0;
    let n_whole = digits(bytes, &mut value);
    let has_leading_zero = n_whole > 1 && bytes.first() == Some(&b'0');
    if !(1..=12).contains(&n_whole) || has_leading_zero {
        return None;
    }
    let mut at = n_whole;
    let mut n_fraction = 0;
    if bytes.get(at) == Some(&b'.') {
        n_fraction = digits(bytes.get(at + 1..)?, &mut value);
        at += 1 + n_fraction;
        if !(1..=3).contains(&n_fraction) {
            return None;
        }
    }
    Some(((value * SCALES[3 - n_fraction]) as i64, at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<f64> {
        let (value, n_read) = short_decimal(text.as_bytes())?;
        assert_eq!(n_read, text.len(), "{text}");
        Some(value)
    }

    #[test]
    fn short_decimals_are_read_without_the_standard_library() {
        for text in
            ["0", "-0", "1", "0.123456789", "-12.5", "9007199254740992", "1e-3", "2.5E+07", "123456789.125", "1e22"]
        {
            let std: f64 = text.parse().expect(text);
            assert_eq!(read(text).map(f64::to_bits), Some(std.to_bits()), "{text}");
        }
    }

    #[test]
    fn what_is_not_exact_or_not_decimal_is_left_alone() {
        for text in
            ["", "-", "+1", ".5", "5.", "NaN", "+Inf", "1e", "1e23", "1e-23", "1e100", "9007199254740993", "1e+"]
        {
            assert_eq!(short_decimal(text.as_bytes()), None, "{text}");
        }
        assert_eq!(short_decimal(b"0.12345678901234567890"), None, "more digits than a u64 holds");
    }

    #[test]
    fn moments_have_no_more_than_milliseconds() {
        for (text, millis) in
            [("0", 0), ("1700000000", 1_700_000_000_000), ("1435781430.781", 1_435_781_430_781), ("1.5", 1500)]
        {
            assert_eq!(unix_millis(text.as_bytes()), Some((millis, text.len())), "{text}");
        }
        for text in ["", "-1", "01", "1.", "1.2345", "1234567890123", ".5", "00"] {
            assert_eq!(unix_millis(text.as_bytes()), None, "{text}");
        }
        assert_eq!(unix_millis(b"1e9"), Some((1000, 1)), "the caller sees that no comma follows");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn any_decimal_has_the_bits_of_the_standard_library(text in "-?[0-9]{1,12}(\\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?") {
            if let Some((value, n_read)) = short_decimal(text.as_bytes()) {
                prop_assert_eq!(n_read, text.len());
                prop_assert_eq!(value.to_bits(), text.parse::<f64>().map(f64::to_bits).unwrap_or(0), "{}", text);
            }
        }

        #[test]
        fn any_float_as_written_has_its_own_bits(value in any::<f64>(), places in 0usize..12) {
            for text in [format!("{value}"), format!("{value:e}"), format!("{value:.places$}")] {
                if let Some((found, n_read)) = short_decimal(text.as_bytes()) {
                    prop_assert_eq!(n_read, text.len());
                    prop_assert_eq!(found.to_bits(), text.parse::<f64>().map(f64::to_bits).unwrap_or(0), "{}", text);
                }
            }
        }

        #[test]
        fn any_moment_is_the_rounded_thousandfold(text in "(0|[1-9][0-9]{0,11})(\\.[0-9]{1,3})?") {
            let wanted = text.parse::<f64>().map(|secs| (secs * 1000.0).round() as i64);
            prop_assert_eq!(unix_millis(text.as_bytes()).map(|(millis, _)| millis), wanted.ok());
        }

        #[test]
        fn what_follows_a_number_is_not_read(number in "[0-9]{1,7}(\\.[0-9]{1,7})?", rest in "[^0-9.eE]{0,12}") {
            let text = format!("{number}{rest}");
            prop_assert_eq!(short_decimal(text.as_bytes()).map(|(_, n_read)| n_read), Some(number.len()));
        }
    }
}
