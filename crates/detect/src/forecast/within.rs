//! A number held within bounds, in two instructions.

/// `value`, or the bound it is beyond; NaN stays NaN. `low` must not exceed `high`.
///
/// [`f64::clamp`] checks that at each call; here bounds are worked out a dozen times a row and are ordered by construction.
#[inline(always)]
pub(super) fn within(value: f64, low: f64, high: f64) -> f64 {
    debug_assert!(low <= high, "bounds {low} and {high}");
    let value = if value < low { low } else { value };
    if value > high { high } else { value }
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn it_clamps_as_the_library_does() {
        for value in [f64::NEG_INFINITY, -3.0, -2.0, -0.0, 0.0, 1.5, 2.0, 2.5, f64::INFINITY, f64::NAN] {
            assert_eq!(within(value, -2.0, 2.0).to_bits(), value.clamp(-2.0, 2.0).to_bits(), "{value}");
        }
    }
}
