//! Parquet: see `table` for what the columns mean. Pages are unpacked one after another; uncompressed, Snappy and gzip pages
//! are read, others are refused by name.
//!
//! A Parquet file can't be read as a stream, for its directory stands at its end: it takes a file.

use std::fs::File;

use homeostat_core::Timestamp;
use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

use super::ReadError;
use super::sink::SampleSink;
use super::stamp;
use super::table::{Cell, Table};

pub(super) fn read(file: File, sink: &mut dyn SampleSink) -> Result<(), ReadError> {
    let reader = SerializedFileReader::new(file).map_err(|error| ReadError::CutShort { why: error.to_string() })?;
    let metadata = reader.metadata().file_metadata();
    if metadata.num_rows() == 0 {
        return Err(ReadError::Empty);
    }
    let columns = metadata.schema().get_fields();
    let is_text = columns.iter().map(|column| is_text(column)).collect::<Result<Vec<bool>, _>>()?;
    let names: Vec<String> = columns.iter().map(|column| column.name().to_owned()).collect();
    let mut table = Table::new(names.clone(), &is_text)?;
    for (row_idx, row) in reader.get_row_iter(None).map_err(unread)?.enumerate() {
        let row = row.map_err(unread)?;
        let number = row_idx as u64 + 1;
        let fields: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
        let wrong = |idx: usize| {
            let name = names.get(idx).map_or("", String::as_str);
            let found = fields.get(idx).map(ToString::to_string).unwrap_or_default();
            ReadError::malformed(number, format!("column {name}: {found} can't be used there"))
        };
        let at = fields.get(table.time_idx()).and_then(|field| moment(field));
        let at = at.ok_or_else(|| wrong(table.time_idx()))?;
        let mut cells = Vec::with_capacity(fields.len());
        for (idx, field) in fields.iter().enumerate() {
            cells.push(if table.is_number(idx) {
                number_cell(field).ok_or_else(|| wrong(idx))?
            } else if idx == table.time_idx() {
                Cell::Empty
            } else {
                text_cell(field)
            });
        }
        table.take(number, at, &cells, sink)?;
    }
    Ok(())
}

/// Whether a column holds texts; an error where it holds what a table can't.
fn is_text(column: &Type) -> Result<bool, ReadError> {
    let refused = |what: &str| {
        let why = format!("column {} holds {what}; write numbers, texts and timestamps only", column.name());
        Err(ReadError::malformed(1, why))
    };
    if !column.is_primitive() || column.get_basic_info().repetition() == Repetition::REPEATED {
        return refused("lists or structures");
    }
    let info = column.get_basic_info();
    let is_decimal = info.converted_type() == ConvertedType::DECIMAL
        || matches!(info.logical_type_ref(), Some(LogicalType::Decimal(_)));
    if is_decimal {
        return refused("decimals");
    }
    match column.get_physical_type() {
        Physical::BYTE_ARRAY => {
            let is_utf8 = matches!(info.converted_type(), ConvertedType::UTF8 | ConvertedType::ENUM)
                || matches!(info.logical_type_ref(), Some(LogicalType::String | LogicalType::Enum));
            if is_utf8 { Ok(true) } else { refused("bytes") }
        }
        Physical::FIXED_LEN_BYTE_ARRAY => refused("bytes of a fixed length"),
        Physical::BOOLEAN
        | Physical::INT32
        | Physical::INT64
        | Physical::INT96
        | Physical::FLOAT
        | Physical::DOUBLE => Ok(false),
    }
}

fn moment(field: &Field) -> Option<Timestamp> {
    match field {
        Field::TimestampMillis(millis) => Some(Timestamp::from_millis(*millis)),
        Field::TimestampMicros(micros) => Some(Timestamp::from_millis(micros.div_euclid(1000))),
        // Nanoseconds come as whole numbers.
        Field::Long(whole) => stamp::moment_of_whole(*whole),
        Field::ULong(whole) => stamp::moment_of_whole(i64::try_from(*whole).ok()?),
        Field::Int(whole) => Some(Timestamp::from_secs(i64::from(*whole))),
        Field::UInt(whole) => Some(Timestamp::from_secs(i64::from(*whole))),
        Field::Double(secs) => stamp::moment_of_secs(*secs),
        Field::Str(text) => stamp::moment(text),
        _other => None,
    }
}

fn number_cell(field: &Field) -> Option<Cell<'static>> {
    let number = match field {
        Field::Null => return Some(Cell::Empty),
        Field::Bool(flag) => f64::from(u8::from(*flag)),
        Field::Byte(number) => f64::from(*number),
        Field::Short(number) => f64::from(*number),
        Field::Int(number) => f64::from(*number),
        Field::Long(number) => *number as f64,
        Field::UByte(number) => f64::from(*number),
        Field::UShort(number) => f64::from(*number),
        Field::UInt(number) => f64::from(*number),
        Field::ULong(number) => *number as f64,
        Field::Float16(number) => f64::from(*number),
        Field::Float(number) => f64::from(*number),
        Field::Double(number) => *number,
        _other => return None,
    };
    Some(Cell::Number(number))
}

fn text_cell(field: &Field) -> Cell<'_> {
    match field {
        Field::Str(text) => Cell::Text(text),
        _other => Cell::Empty,
    }
}

fn unread(error: ParquetError) -> ReadError {
    match error {
        ParquetError::EOF(why) => ReadError::CutShort { why },
        ParquetError::NYI(why) => ReadError::Unsupported(format!("this Parquet isn't read here: {why}")),
        other => {
            let why = other.to_string();
            let hint =
                if why.contains("Disabled feature") { "; write it with compression snappy, gzip or none" } else { "" };
            ReadError::Unsupported(format!("{why}{hint}"))
        }
    }
}

#[cfg(test)]
mod tests;
