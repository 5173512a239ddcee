//! What a false-alarm budget for all workloads together leaves each of them.

use homeostat_detect::Budgets;

/// A line for a person; nothing where there is no budget for all together. How many workloads there are is known from a bundle, or from
/// Prometheus.
pub(super) fn text(budgets: &Budgets, n_subjects: Option<usize>) -> String {
    let Some(fleet) = budgets.fleet else { return String::new() };
    let Some(n_subjects) = n_subjects else {
        // Where both are the same: with more, the part of all is tighter.
        let n_equal = (fleet.incidents_per_day() / budgets.each.incidents_per_day() + 1e-9) as usize;
        return format!(
            "false-alarm budget: {fleet} for all workloads together; with more than {n_equal}, each gets less than its own {}\n",
            budgets.each
        );
    };
    let n = n_subjects.max(1);
    let workloads = if n == 1 { "workload" } else { "workloads" };
    format!("false-alarm budget: {n} {workloads}: {} each\n", budgets.of_each(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_workload_gets_is_told() {
        let budgets = |fleet: Option<&str>| Budgets {
            each: "1 per 7d".parse().expect("a budget"),
            fleet: fleet.map(|fleet| fleet.parse().expect("a budget")),
        };
        assert_eq!(text(&budgets(None), Some(60)), "");
        assert_eq!(text(&budgets(Some("1 per 1d")), Some(60)), "false-alarm budget: 60 workloads: 1 per 60d each\n");
        assert_eq!(text(&budgets(Some("1 per 1d")), Some(3)), "false-alarm budget: 3 workloads: 1 per 1w each\n");
        let offline = text(&budgets(Some("1 per 1d")), None);
        assert!(offline.contains("with more than 7, each gets less than its own 1 per 1w"), "{offline}");
    }
}
