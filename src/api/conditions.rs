//! Conditions of a status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The types of condition that every resource reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// The resource makes sense: it can be translated, and what it refers to exists.
    Accepted,
    /// Tyk holds exactly what the resource asks for.
    Synced,
    /// The resource is in effect.
    Ready,
}

impl ConditionType {
    /// The `type` as it is written in a status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Synced => "Synced",
            Self::Ready => "Ready",
        }
    }
}

/// The three values of a condition's `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionStatus {
    /// The condition holds.
    True,
    /// The condition does not hold.
    False,
    /// It cannot be said yet.
    Unknown,
}

impl ConditionStatus {
    /// The `status` as it is written in a status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// Writes one condition into the list, which holds each type once, in the order in which the types first came.
///
/// `lastTransitionTime` becomes `now` only when the status changes, as the Kubernetes API conventions ask.
pub fn set_condition(
    conditions: &mut Vec<Condition>,
    type_: ConditionType,
    status: impl Into<ConditionStatus>,
    reason: &str,
    message: &str,
    observed_generation: Option<i64>,
    now: Time,
) {
    let status = status.into().as_str();
    let place = conditions
        .iter()
        .position(|condition| condition.type_ == type_.as_str());
    let since = place
        .map(|index| &conditions[index])
        .filter(|condition| condition.status == status)
        .map_or(now, |condition| condition.last_transition_time.clone());
    let condition = Condition {
        type_: type_.as_str().to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation,
        last_transition_time: since,
    };
    match place {
        Some(index) => conditions[index] = condition,
        None => conditions.push(condition),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use jiff::Timestamp;

    use super::*;

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn the_transition_time_moves_only_when_the_status_changes() {
        let mut conditions = Vec::new();
        set_condition(
            &mut conditions,
            ConditionType::Ready,
            false,
            "Waiting",
            "not loaded",
            Some(1),
            at(10),
        );
        set_condition(
            &mut conditions,
            ConditionType::Ready,
            false,
            "Refused",
            "500",
            Some(2),
            at(20),
        );
        assert_eq!(conditions[0].last_transition_time, at(10));
        assert_eq!(
            (conditions[0].reason.as_str(), conditions[0].message.as_str()),
            ("Refused", "500")
        );
        assert_eq!(conditions[0].observed_generation, Some(2));
        set_condition(
            &mut conditions,
            ConditionType::Ready,
            true,
            "Loaded",
            "",
            Some(2),
            at(30),
        );
        assert_eq!(conditions[0].last_transition_time, at(30));
        set_condition(
            &mut conditions,
            ConditionType::Ready,
            ConditionStatus::Unknown,
            "NoAnswer",
            "",
            Some(2),
            at(40),
        );
        assert_eq!(
            (conditions[0].status.as_str(), &conditions[0].last_transition_time),
            ("Unknown", &at(40))
        );
        assert_eq!(conditions.len(), 1);
    }

    #[test]
    fn types_keep_their_place_and_foreign_ones_stay() {
        let mut conditions = Vec::new();
        for type_ in [ConditionType::Accepted, ConditionType::Synced, ConditionType::Accepted] {
            set_condition(&mut conditions, type_, true, "Ok", "", None, at(1));
        }
        conditions[1].type_ = "example.com/Foreign".into();
        set_condition(&mut conditions, ConditionType::Ready, true, "Ok", "", None, at(2));
        let types: Vec<_> = conditions.iter().map(|condition| condition.type_.as_str()).collect();
        assert_eq!(types, ["Accepted", "example.com/Foreign", "Ready"]);
    }
}
