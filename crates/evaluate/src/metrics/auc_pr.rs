//! Area under the precision-recall curve, row by row.

/// The area under the curve of precision over recall, as a step function: `Σ (recallₖ − recallₖ₋₁) · precisionₖ` over the
/// distinct scores, highest first (average precision; Davis & Goadrich, The relationship between precision-recall and ROC
/// curves, 2006, on why the points must not be joined by straight lines). Equal scores are one point.
///
/// `labels` and `scores` have one value a row; scores must be finite. 0 without a labelled row.
pub fn auc_pr(labels: &[bool], scores: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len().min(labels.len())).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let n_labelled = labels.iter().filter(|label| **label).count().max(1) as f64;
    let (mut area, mut n_true, mut recall_before) = (0.0, 0_usize, 0.0);
    for (rank, row) in order.iter().enumerate() {
        n_true += usize::from(labels[*row]);
        let is_point = order.get(rank + 1).is_none_or(|next| scores[*next] != scores[*row]);
        if is_point {
            let recall = n_true as f64 / n_labelled;
            area += (recall - recall_before) * (n_true as f64 / (rank + 1) as f64);
            recall_before = recall;
        }
    }
    area
}
