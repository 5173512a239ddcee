//! Scored rows as Parquet: one column a detector, a row group at a time.

use std::io;
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use super::row::ScoredRow;
use super::whole_file::WholeFile;

/// Rows of a group, which wait in memory: a dozen columns of them are some 6 MB.
const GROUP_ROWS: usize = 1 << 16;

/// A Parquet file that is written as rows come.
pub(super) struct ParquetRows {
    writer: SerializedFileWriter<WholeFile>,
    group: Group,
}

/// The rows of the group that isn't written yet, by column.
#[derive(Default)]
struct Group {
    timestamps: Vec<i64>,
    subjects: Vec<ByteArray>,
    score: Vec<Option<f64>>,
    lasting_score: Vec<Option<f64>>,
    smoothed_score: Vec<Option<f64>>,
    confidence: Vec<Option<f64>>,
    types: Vec<Option<ByteArray>>,
    alert: Vec<bool>,
    open: Vec<bool>,
    /// By detector.
    surprisal_nats: Vec<Vec<Option<f64>>>,
}

impl ParquetRows {
    /// Begins the file.
    pub(super) fn new(file: WholeFile, detectors: &[String]) -> anyhow::Result<Self> {
        let schema = schema(detectors).map_err(told)?;
        // Read everywhere, and unpacks faster than disks read.
        let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
        let writer = SerializedFileWriter::new(file, schema, properties).map_err(told)?;
        let group = Group { surprisal_nats: vec![Vec::new(); detectors.len()], ..Group::default() };
        Ok(Self { writer, group })
    }

    /// Takes a row.
    pub(super) fn push(&mut self, row: &ScoredRow<'_>, detectors: &[String]) -> anyhow::Result<()> {
        self.group.push(row, detectors);
        if self.group.timestamps.len() >= GROUP_ROWS { self.write_group() } else { Ok(()) }
    }

    /// Writes what is left, and ends the file.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        if !self.group.timestamps.is_empty() {
            self.write_group()?;
        }
        Ok(self.writer.into_inner().map_err(told)?.finish()?)
    }

    fn write_group(&mut self) -> anyhow::Result<()> {
        let mut writer = self.writer.next_row_group().map_err(told)?;
        self.group.write(&mut writer).map_err(told)?;
        writer.close().map_err(told)?;
        Ok(())
    }
}

impl Group {
    fn push(&mut self, row: &ScoredRow<'_>, detectors: &[String]) {
        self.timestamps.push(row.at.as_millis());
        self.subjects.push(row.subject.to_string().as_str().into());
        self.score.push(row.score);
        self.lasting_score.push(row.lasting_score);
        self.smoothed_score.push(row.smoothed_score);
        self.confidence.push(row.confidence());
        self.types.push(row.incident_type().map(|incident_type| incident_type.as_str().into()));
        self.alert.push(row.alert);
        self.open.push(row.open);
        for (detector, column) in detectors.iter().zip(&mut self.surprisal_nats) {
            column.push(row.surprisal_nats(detector));
        }
    }

    /// Writes the columns in the schema's order, and empties them.
    fn write(&mut self, writer: &mut SerializedRowGroupWriter<'_, WholeFile>) -> Result<(), ParquetError> {
        required::<Int64Type>(writer, &mut self.timestamps)?;
        required::<ByteArrayType>(writer, &mut self.subjects)?;
        optional::<DoubleType>(writer, &mut self.score)?;
        optional::<DoubleType>(writer, &mut self.lasting_score)?;
        optional::<DoubleType>(writer, &mut self.smoothed_score)?;
        optional::<DoubleType>(writer, &mut self.confidence)?;
        optional::<ByteArrayType>(writer, &mut self.types)?;
        required::<BoolType>(writer, &mut self.alert)?;
        required::<BoolType>(writer, &mut self.open)?;
        self.surprisal_nats.iter_mut().try_for_each(|column| optional::<DoubleType>(writer, column))
    }
}

fn required<T: DataType>(
    writer: &mut SerializedRowGroupWriter<'_, WholeFile>,
    values: &mut Vec<T::T>,
) -> Result<(), ParquetError> {
    write_column::<T>(writer, values, None)?;
    values.clear();
    Ok(())
}

fn optional<T: DataType>(
    writer: &mut SerializedRowGroupWriter<'_, WholeFile>,
    values: &mut Vec<Option<T::T>>,
) -> Result<(), ParquetError> {
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let there: Vec<T::T> = values.drain(..).flatten().collect();
    write_column::<T>(writer, &there, Some(&levels))
}

fn write_column<T: DataType>(
    writer: &mut SerializedRowGroupWriter<'_, WholeFile>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let Some(mut column) = writer.next_column()? else {
        return Err(ParquetError::General("more columns than the schema has".to_owned()));
    };
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}

/// The columns of the CSV, with their types: an absent value is null.
fn schema(detectors: &[String]) -> Result<TypePtr, ParquetError> {
    let column = |name: &str, physical, converted, repetition| {
        let column = Type::primitive_type_builder(name, physical);
        column.with_converted_type(converted).with_repetition(repetition).build().map(Arc::new)
    };
    let (text, none) = (ConvertedType::UTF8, ConvertedType::NONE);
    let (required, optional) = (Repetition::REQUIRED, Repetition::OPTIONAL);
    let mut columns = vec![
        column("timestamp", Physical::INT64, ConvertedType::TIMESTAMP_MILLIS, required)?,
        column("subject", Physical::BYTE_ARRAY, text, required)?,
        column("score", Physical::DOUBLE, none, optional)?,
        column("lasting_score", Physical::DOUBLE, none, optional)?,
        column("smoothed_score", Physical::DOUBLE, none, optional)?,
        column("confidence", Physical::DOUBLE, none, optional)?,
        column("type", Physical::BYTE_ARRAY, text, optional)?,
        column("alert", Physical::BOOLEAN, none, required)?,
        column("open", Physical::BOOLEAN, none, required)?,
    ];
    for detector in detectors {
        columns.push(column(detector, Physical::DOUBLE, none, optional)?);
    }
    Type::group_type_builder("scores").with_fields(columns).build().map(Arc::new)
}

/// The system's own words where it was the system: the library's error would say them twice.
fn told(error: ParquetError) -> anyhow::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(cause) => anyhow::Error::new(*cause),
            Err(cause) => anyhow::anyhow!("{cause}"),
        },
        other => anyhow::anyhow!("{other}"),
    }
}

#[cfg(test)]
mod tests;
