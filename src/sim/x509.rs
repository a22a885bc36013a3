//! As much of X.509 as the certificate list shows: names, validity, and whether it is a CA.

/// The fields of a certificate. Times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Certificate {
    pub issuer: String,
    pub subject: String,
    pub dns_names: Vec<String>,
    pub not_before: i64,
    pub not_after: i64,
    pub is_ca: bool,
}

const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const ALT_NAMES: &[u8] = &[0x55, 0x1d, 17];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];

/// Reads a DER certificate; `None` if it is none.
pub(super) fn parse(der: &[u8]) -> Option<Certificate> {
    let mut fields = inside(inside(der, 0x30)?, 0x30)?;
    if fields.first() == Some(&0xa0) {
        element(&mut fields)?;
    }
    element(&mut fields)?; // serial number
    element(&mut fields)?; // signature algorithm
    let issuer = common_name(element(&mut fields)?.1);
    let mut validity = element(&mut fields)?.1;
    let not_before = time(element(&mut validity)?)?;
    let not_after = time(element(&mut validity)?)?;
    let subject = common_name(element(&mut fields)?.1);
    element(&mut fields)?; // public key
    let mut certificate = Certificate {
        issuer,
        subject,
        not_before,
        not_after,
        ..Certificate::default()
    };
    while let Some((tag, content)) = element(&mut fields) {
        if tag == 0xa3 {
            extensions(inside(content, 0x30)?, &mut certificate);
        }
    }
    Some(certificate)
}

fn extensions(mut list: &[u8], certificate: &mut Certificate) {
    while let Some((_, mut extension)) = element(&mut list) {
        let Some((_, id)) = element(&mut extension) else {
            return;
        };
        let mut value = None;
        while let Some((tag, content)) = element(&mut extension) {
            value = (tag == 4).then_some(content).or(value);
        }
        let Some(content) = value.and_then(|value| inside(value, 0x30)) else {
            continue;
        };
        let mut content = content;
        if id == BASIC_CONSTRAINTS {
            certificate.is_ca =
                element(&mut content).is_some_and(|(tag, value)| tag == 1 && value != [0]);
        }
        while let (true, Some((tag, name))) = (id == ALT_NAMES, element(&mut content)) {
            if tag == 0x82 {
                certificate
                    .dns_names
                    .push(String::from_utf8_lossy(name).into_owned());
            }
        }
    }
}

fn common_name(mut name: &[u8]) -> String {
    let mut found = String::new();
    while let Some((_, mut set)) = element(&mut name) {
        while let Some((_, mut attribute)) = element(&mut set) {
            let id = element(&mut attribute).map(|(_, id)| id);
            if let (Some(COMMON_NAME), Some((_, value))) = (id, element(&mut attribute)) {
                found = String::from_utf8_lossy(value).into_owned();
            }
        }
    }
    found
}

/// Takes the first element off, as its tag and its content.
fn element<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 || rest.len() < count {
            return None;
        }
        let (digits, after) = rest.split_at(count);
        length = digits
            .iter()
            .fold(0, |length, &digit| length << 8 | usize::from(digit));
        rest = after;
    }
    if rest.len() < length {
        return None;
    }
    let (content, after) = rest.split_at(length);
    *input = after;
    Some((tag, content))
}

fn inside(mut input: &[u8], tag: u8) -> Option<&[u8]> {
    element(&mut input)
        .filter(|(found, _)| *found == tag)
        .map(|(_, content)| content)
}

fn time((tag, content): (u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let (year, rest) = text.split_at_checked(if tag == 0x17 { 2 } else { 4 })?;
    let year: i64 = year.parse().ok()?;
    let year = if tag == 0x17 {
        year + if year < 50 { 2000 } else { 1900 }
    } else {
        year
    };
    let number = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day) = (number(0)?, number(2)?);
    Some(
        days(year, month, day) * 86_400
            + number(4)? * 3600
            + number(6)? * 60
            + number(8).unwrap_or(0),
    )
}

/// Days from 1970-01-01 in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Seconds since 1970 as the gateway prints them.
pub(super) fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map(|time| time.to_string())
        .unwrap_or_default()
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
