//! Results as a table for people.

use std::fmt;

use super::measures::Results;

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} paths, {} gateway", self.paths, self.gateway)?;
        let width = self
            .measures
            .iter()
            .map(|measure| measure.name.len())
            .max()
            .unwrap_or_default();
        for measure in &self.measures {
            let value = match measure.unit {
                "" => format!("{:.0}", measure.value),
                unit => format!("{:.2} {unit}", measure.value),
            };
            let ratio = measure
                .ratio
                .map(|ratio| format!("{ratio:.2} x floor"))
                .unwrap_or_default();
            let target = match (measure.target, measure.reached) {
                (Some(target), Some(true)) => format!("target {target:.2}: reached"),
                (Some(target), _) => format!("target {target:.2}: missed"),
                (None, _) => String::new(),
            };
            let line = format!("{:<width$}  {value:>18}  {ratio:>14}  {target}", measure.name);
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
