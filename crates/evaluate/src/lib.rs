//! Metrics, scorecards and calibration from labelled outcomes; the only room that sees labels.
