//! Durations and sizes as a person writes them.

use std::time::Duration;

/// Reads a duration such as `60s`, `10m` or `1h30m`, or says what to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    const HINT: &str = "write a number and a unit (`s`, `m`, `h`, `d`), e.g. `60s`, `10m` or `1h30m`";
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) {
        return Err(format!("give the unit: `{text}s` or `{text}m`"));
    }
    let mut total = Some(Duration::ZERO);
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).ok_or(HINT)?);
        let mut chars = after.chars();
        let unit = match chars.next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            _ => return Err(HINT.to_owned()),
        };
        let seconds = number.parse::<u32>().map_err(|_| HINT)?.checked_mul(unit);
        total = total.zip(seconds).and_then(|(total, part)| total.checked_add(Duration::from_secs(part.into())));
        rest = chars.as_str();
    }
    match total {
        Some(total) if !text.is_empty() => Ok(total),
        _ => Err(HINT.to_owned()),
    }
}

/// Reads a whole number, or says what to write instead.
pub fn whole(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "write a whole number without a unit, e.g. `4000`".to_owned())
}

/// Reads a size such as `20GiB` or `1TiB`, in GiB, or says what to write instead. 64 TiB is the most that EBS offers.
pub fn size_gib(text: &str) -> Result<u32, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "GiB" => 1,
        "TiB" => 1024,
        "GB" | "TB" | "G" | "T" | "Gi" | "Ti" => {
            let first = &unit[..1];
            return Err(format!("EBS counts in binary units: write `{number}{first}iB`"));
        }
        "" if !number.is_empty() => return Err(format!("give the unit: `{number}GiB`")),
        _ => return Err("write a whole number and a unit, e.g. `20GiB` or `1TiB`".to_owned()),
    };
    match number.parse::<u32>().ok().and_then(|number| number.checked_mul(factor)) {
        Some(size @ 1..=65_536) => Ok(size),
        _ => Err("a volume has 1GiB to 64TiB".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_sums_of_numbers_with_units() {
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for text in ["", "60", "s", "1.5h", "10 m", "1h30", "-1s", "99999999999s", "4294967295d", "10µ"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(size_gib("20GiB"), Ok(20));
        assert_eq!(size_gib("1TiB"), Ok(1024));
        assert_eq!(size_gib("20GB"), Err("EBS counts in binary units: write `20GiB`".to_owned()));
        for text in ["", "20", "0GiB", "65TiB", "4294967295TiB", "1.5TiB", "GiB", "20MiB"] {
            assert!(size_gib(text).is_err(), "{text}");
        }
    }
}
