//! The runtime inside the program: a checked model as a list of steps, and nothing to install.
//!
//! What depends on weights alone is computed once, at loading. A run works off the steps on a block of rows at a time, so
//! that what lies between two layers stays in the processor's cache.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::check::CheckedModel;
use super::operator::{Operator, Rows};
use super::proto::{GraphProto, TensorProto};
use super::{INPUT_NAME, OUTPUT_NAME, OnnxError, OnnxSession, RunError, check_batch, take_output};

pub(super) const NAME: &str = "embedded";

/// Cells of the widest value between two layers, at most: 256 KiB, of which two or three stay in a core's second cache.
const BLOCK_CELLS_MAX: usize = 1 << 16;

/// Rows worked off at once, at most: two of the autoencoder's batches of 64.
const BLOCK_ROWS_MAX: usize = 128;

/// Inputs of an operator, at most (BatchNormalization's).
const INPUTS_MAX: usize = 5;

thread_local! {
    /// Memory for what lies between layers. A thread runs one model at a time, and thousands of models share its memory;
    /// it grows to what the widest needs, a few hundred kilobytes.
    static SLOTS: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Weights, or what was computed of them alone.
struct Constant {
    cells: Vec<f32>,
    n_columns: usize,
}

impl Constant {
    /// Of a checked tensor of at most two dimensions.
    fn of(weights: &TensorProto) -> Self {
        let cells = if weights.raw_data.is_empty() {
            weights.float_data.clone()
        } else {
            weights.raw_data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
        };
        let n_columns = weights.dims.last().and_then(|size| usize::try_from(*size).ok()).unwrap_or(1).max(1);
        Self { cells, n_columns }
    }

    fn rows(&self) -> Rows<'_> {
        Rows { cells: &self.cells, n_columns: self.n_columns }
    }
}

/// Where a value is found during a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operand {
    /// The rows that are run.
    Input,
    Constant(usize),
    Slot {
        idx: usize,
        n_columns: usize,
    },
}

struct Step {
    operator: Operator,
    /// Only the second and later ones can be left out.
    inputs: Vec<Option<Operand>>,
    slot_idx: usize,
    n_columns: usize,
}

/// What a model computes, for rows of one width; shared by its sessions.
struct Plan {
    constants: Vec<Constant>,
    steps: Vec<Step>,
    output: Operand,
    n_slots: usize,
    n_columns: usize,
    block_rows: usize,
}

impl Plan {
    /// Of a model that was let through; what can go wrong here is a check that let too much through.
    fn new(model: &CheckedModel) -> Result<Self, String> {
        let graph = model.graph();
        let mut plan = Self {
            constants: Vec::new(),
            steps: Vec::new(),
            output: Operand::Input,
            n_slots: 0,
            n_columns: model.n_columns(),
            block_rows: 1,
        };
        let mut places = BTreeMap::from([(INPUT_NAME, Operand::Input)]);
        for weights in &graph.initializer {
            places.insert(&weights.name, plan.constant(Constant::of(weights)));
        }
        let last_reads = last_reads(graph);
        let mut free = Vec::new();
        for (node_idx, node) in graph.node.iter().enumerate() {
            let operator = Operator::of(node).ok_or_else(|| format!("operator {:?} isn't supported", node.op_type))?;
            let place = |name: &String| match (name.as_str(), places.get(name.as_str())) {
                ("", _) => Ok(None),
                (_, Some(place)) => Ok(Some(*place)),
                (_, None) => Err(format!("{} reads {name:?}, which nothing before it makes", node.op_type)),
            };
            let inputs = node.input.iter().map(place).collect::<Result<Vec<_>, String>>()?;
            let made = plan.add(operator, inputs, &mut free)?;
            for name in &node.output {
                places.insert(name, made);
            }
            // Whose last reader this was makes room for what comes after; never for this node's own output.
            for name in node.input.iter().filter(|name| last_reads.get(name.as_str()) == Some(&node_idx)) {
                match places.get(name.as_str()) {
                    Some(Operand::Slot { idx, .. }) if !free.contains(idx) => free.push(*idx),
                    Some(Operand::Slot { .. } | Operand::Input | Operand::Constant(_)) | None => {}
                }
            }
        }
        plan.output = *places.get(OUTPUT_NAME).ok_or_else(|| format!("no node makes the output {OUTPUT_NAME:?}"))?;
        let widest = plan.steps.iter().map(|step| step.n_columns).max().unwrap_or(1).max(plan.n_columns);
        plan.block_rows = (BLOCK_CELLS_MAX / widest).clamp(1, BLOCK_ROWS_MAX);
        Ok(plan)
    }

    fn constant(&mut self, constant: Constant) -> Operand {
        self.constants.push(constant);
        Operand::Constant(self.constants.len() - 1)
    }

    /// Adds a step, or computes it now where it reads weights alone; says where its value will be.
    fn add(
        &mut self,
        operator: Operator,
        inputs: Vec<Option<Operand>>,
        free: &mut Vec<usize>,
    ) -> Result<Operand, String> {
        // Of a run of one row: what a run of more has as columns.
        let row = vec![0.0; self.n_columns.max(self.steps.iter().map(|step| step.n_columns).max().unwrap_or(0))];
        let look = |operand: Operand| match operand {
            Operand::Input => Rows { cells: &row[..self.n_columns], n_columns: self.n_columns },
            Operand::Slot { n_columns, .. } => Rows { cells: &row[..n_columns], n_columns },
            Operand::Constant(idx) => self.constants[idx].rows(),
        };
        let [Some(first), rest @ ..] = inputs.as_slice() else { return Err("a node without its first input".into()) };
        let rest: Vec<Option<Rows<'_>>> = rest.iter().map(|operand| operand.map(look)).collect();
        let (n_rows, n_columns) = operator.shape(look(*first), &rest);
        let is_constant = inputs.iter().flatten().all(|operand| matches!(operand, Operand::Constant(_)));
        if is_constant {
            let mut cells = vec![0.0; n_rows * n_columns];
            operator.compute(look(*first), &rest, &mut cells, n_columns).map_err(|error| error.to_string())?;
            return Ok(self.constant(Constant { cells, n_columns }));
        }
        let slot_idx = free.pop().unwrap_or_else(|| {
            self.n_slots += 1;
            self.n_slots - 1
        });
        self.steps.push(Step { operator, inputs, slot_idx, n_columns });
        Ok(Operand::Slot { idx: slot_idx, n_columns })
    }

    /// Runs a block of whole rows and appends what they give.
    fn run(&self, rows: &[f32], slots: &mut [Vec<f32>], out: &mut Vec<f32>) -> Result<(), RunError> {
        let n_rows = rows.len() / self.n_columns;
        for step in &self.steps {
            let mut made = std::mem::take(&mut slots[step.slot_idx]);
            made.resize(n_rows * step.n_columns, 0.0);
            let look = |operand: Operand| self.rows(operand, rows, slots, n_rows);
            let mut inputs = [None; INPUTS_MAX];
            for (place, operand) in inputs.iter_mut().zip(&step.inputs) {
                *place = operand.map(look);
            }
            let [first, rest @ ..] = &inputs;
            let computed = match first {
                Some(first) => {
                    let rest = &rest[..step.inputs.len() - 1];
                    step.operator.compute(*first, rest, &mut made, step.n_columns).map_err(|error| error.to_string())
                }
                None => Err("a node without its first input".to_owned()),
            };
            slots[step.slot_idx] = made;
            computed.map_err(|why| RunError { backend: NAME, why })?;
        }
        let output = self.rows(self.output, rows, slots, n_rows);
        let (found, wanted) = ((output.n_rows(), output.n_columns), (n_rows, self.n_columns));
        take_output(NAME, found, output.cells, wanted, out)
    }

    fn rows<'a>(&'a self, operand: Operand, input: &'a [f32], slots: &'a [Vec<f32>], n_rows: usize) -> Rows<'a> {
        match operand {
            Operand::Input => Rows { cells: input, n_columns: self.n_columns },
            Operand::Constant(idx) => self.constants[idx].rows(),
            Operand::Slot { idx, n_columns } => Rows { cells: &slots[idx][..n_rows * n_columns], n_columns },
        }
    }
}

/// The last node that reads each value; the model's output is read after all of them.
fn last_reads(graph: &GraphProto) -> BTreeMap<&str, usize> {
    let mut last = BTreeMap::new();
    for (node_idx, node) in graph.node.iter().enumerate() {
        for name in &node.input {
            last.insert(name.as_str(), node_idx);
        }
    }
    last.remove(OUTPUT_NAME);
    last
}

/// A session keeps nothing of its own: its plan is shared with its clones.
pub(super) struct EmbeddedSession {
    plan: Arc<Plan>,
}

impl EmbeddedSession {
    pub(super) fn load(model: &CheckedModel) -> Result<Self, OnnxError> {
        let plan = Plan::new(model).map_err(|why| OnnxError::Model { why })?;
        Ok(Self { plan: Arc::new(plan) })
    }
}

impl OnnxSession for EmbeddedSession {
    fn run(&mut self, batch: &[f32], n_rows: usize, out: &mut Vec<f32>) -> Result<(), RunError> {
        let plan = &*self.plan;
        check_batch(NAME, batch, n_rows, plan.n_columns)?;
        out.clear();
        SLOTS.with_borrow_mut(|slots| {
            if slots.len() < plan.n_slots {
                slots.resize_with(plan.n_slots, Vec::new);
            }
            batch.chunks(plan.block_rows * plan.n_columns).try_for_each(|rows| plan.run(rows, slots, out))
        })
    }

    fn backend(&self) -> &'static str {
        NAME
    }

    fn n_columns(&self) -> usize {
        self.plan.n_columns
    }

    fn another(&self) -> Box<dyn OnnxSession> {
        Box::new(Self { plan: Arc::clone(&self.plan) })
    }
}
