//! Detectors, fusion, calibration, typing and the incident tracker. Synchronous, no clock.
