//! COUNT(DISTINCT …) of rows that are added alone: the values of each group, the first few beside each
//! other, as many as fill a cache line with their number.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BinaryArray, BinaryBuilder, BooleanArray, Int64Array,
    ListArray, make_array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowNativeType, DataType, Field};
use hashbrown::HashTable;
use nowcast_engine::keys::{KeyCodec, Keys};
use nowcast_engine::{Error, Result};

use super::{Accumulator, as_type, for_each, passing};

/// Values of a group before they get a table.
const FEW: usize = 7;

/// What a word of a table takes, which is two thirds full on average. Those of small groups take none of their own.
const WORD_BYTES: usize = 12;

/// # Errors
/// Where values of a type cannot be compared.
pub fn count_distinct(types: &[DataType], output: &DataType) -> Result<Box<dyn Accumulator>> {
    let words = match types {
        [ty] if Width::of(ty).is_some() => {
            Words::Values { ty: ty.clone(), codec: KeyCodec::new(types)? }
        }
        types => Words::Numbers { keys: Keys::new(types)?, uses: vec![] },
    };
    Ok(Box::new(CountDistinct { words, groups: vec![], held: 0, output: output.clone() }))
}

/// Saved as [`super::distinct::Distinct`] saves it, as if each value had come once.
struct CountDistinct {
    words: Words,
    /// By slot.
    groups: Vec<Group>,
    /// Words of all groups.
    held: usize,
    output: DataType,
}

/// What stands for a value: a word that is equal where the value is.
enum Words {
    /// Its bits.
    Values { ty: DataType, codec: KeyCodec },
    /// The number it was given, and by number how many groups have it.
    Numbers { keys: Keys, uses: Vec<u32> },
}

#[derive(Clone)]
enum Group {
    Few { length: u8, words: [u64; FEW] },
    Many(HashTable<u64>),
}

impl Default for Group {
    fn default() -> Self {
        Self::Few { length: 0, words: [0; FEW] }
    }
}

impl Group {
    fn len(&self) -> usize {
        match self {
            Self::Few { length, .. } => usize::from(*length),
            Self::Many(words) => words.len(),
        }
    }

    /// Adds a word; whether it is new.
    fn insert(&mut self, word: u64) -> bool {
        match self {
            Self::Few { length, words } => {
                let held = usize::from(*length);
                if words[..held].contains(&word) {
                    return false;
                }
                if held < FEW {
                    words[held] = word;
                    *length += 1;
                    return true;
                }
                let mut many = HashTable::with_capacity(2 * FEW);
                for word in words.iter().copied().chain([word]) {
                    many.insert_unique(spread(word), word, |word| spread(*word));
                }
                *self = Self::Many(many);
                true
            }
            Self::Many(words) => {
                let hash = spread(word);
                let fresh = words.find(hash, |held| *held == word).is_none();
                if fresh {
                    words.insert_unique(hash, word, |word| spread(*word));
                }
                fresh
            }
        }
    }

    fn each(&self, each: impl FnMut(u64)) {
        match self {
            Self::Few { length, words } => {
                words[..usize::from(*length)].iter().copied().for_each(each);
            }
            Self::Many(words) => words.iter().copied().for_each(each),
        }
    }
}

/// A hash of a word: numbers in a row differ in the low bits alone, a table goes by the high ones too.
fn spread(word: u64) -> u64 {
    let product = u128::from(word ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
    (product as u64) ^ (product >> 64) as u64
}

impl Words {
    /// The word of each row; any of a row that does not pass.
    fn of(&mut self, args: &[ArrayRef], passing: Option<&NullBuffer>) -> Result<ScalarBuffer<u64>> {
        let (keys, uses) = match self {
            Self::Values { ty, .. } => return words_of(&args[0], ty),
            Self::Numbers { keys, uses } => (keys, uses),
        };
        let rows = args[0].len();
        let picked: Vec<u32> = match passing {
            Some(passing) => passing.valid_indices().map(|row| row as u32).collect(),
            None => (0..rows as u32).collect(),
        };
        let numbers = keys.intern_rows(&keys.hashed(args, rows)?, &picked);
        uses.resize(keys.slots_len(), 0);
        let mut words = vec![0; rows];
        for (row, number) in picked.into_iter().zip(numbers) {
            words[row as usize] = u64::from(number);
        }
        Ok(words.into())
    }

    /// One group more has the value.
    fn take(&mut self, word: u64) {
        if let Self::Numbers { uses, .. } = self {
            uses[word as usize] += 1;
        }
    }

    /// One group less has the value.
    fn release(&mut self, word: u64) {
        if let Self::Numbers { keys, uses } = self {
            uses[word as usize] -= 1;
            if uses[word as usize] == 0 {
                keys.remove(word as u32);
            }
        }
    }

    /// The values as bytes, by which they are saved.
    fn encode(&self, words: &[u64], mut each: impl FnMut(&[u8])) -> Result<()> {
        match self {
            Self::Values { ty, codec } => {
                let encoded = codec.encode(&[column_of(words, ty)?])?;
                encoded.iter().for_each(|value| each(value.data()));
            }
            Self::Numbers { keys, .. } => {
                words.iter().for_each(|word| each(keys.key(*word as u32)));
            }
        }
        Ok(())
    }

    /// The words of values that were saved.
    fn decode(&mut self, values: &BinaryArray) -> Result<ScalarBuffer<u64>> {
        match self {
            Self::Values { ty, codec } => words_of(&codec.decode(values.iter().flatten())?[0], ty),
            Self::Numbers { keys, uses } => {
                let numbers = values.iter().flatten().map(|value| keys.intern_bytes(value).into());
                let numbers: Vec<u64> = numbers.collect();
                uses.resize(keys.slots_len(), 0);
                Ok(numbers.into())
            }
        }
    }
}

/// How wide a value is that fits a word and is equal where its bits are.
enum Width {
    One,
    Two,
    Four,
    Eight,
}

impl Width {
    fn of(ty: &DataType) -> Option<Self> {
        // Intervals are several numbers, and lie in memory as these do.
        if matches!(ty, DataType::Interval(_)) {
            return None;
        }
        Some(match ty.primitive_width()? {
            1 => Self::One,
            2 => Self::Two,
            4 => Self::Four,
            8 => Self::Eight,
            _ => return None,
        })
    }

    fn of_word(ty: &DataType) -> Result<Self> {
        Self::of(ty).ok_or_else(|| Error::bug(format!("COUNT(DISTINCT): {ty} in a word")))
    }
}

/// The bits of each value of a column; of nulls any.
fn words_of(column: &ArrayRef, ty: &DataType) -> Result<ScalarBuffer<u64>> {
    let data = column.to_data();
    let (buffer, offset, length) = (data.buffers()[0].clone(), data.offset(), data.len());
    Ok(match Width::of_word(ty)? {
        Width::One => widened::<u8>(ScalarBuffer::new(buffer, offset, length)),
        Width::Two => widened::<u16>(ScalarBuffer::new(buffer, offset, length)),
        Width::Four => widened::<u32>(ScalarBuffer::new(buffer, offset, length)),
        Width::Eight => ScalarBuffer::new(buffer, offset, length),
    })
}

fn widened<N: ArrowNativeType + Into<u64>>(values: ScalarBuffer<N>) -> ScalarBuffer<u64> {
    values.iter().map(|value| (*value).into()).collect()
}

/// The column whose values have these bits.
fn column_of(words: &[u64], ty: &DataType) -> Result<ArrayRef> {
    let buffer = match Width::of_word(ty)? {
        Width::One => words.iter().map(|word| *word as u8).collect(),
        Width::Two => words.iter().map(|word| *word as u16).collect(),
        Width::Four => words.iter().map(|word| *word as u32).collect(),
        Width::Eight => words.iter().copied().collect::<Buffer>(),
    };
    let data = ArrayData::builder(ty.clone()).len(words.len()).add_buffer(buffer);
    Ok(make_array(data.build()?))
}

impl Accumulator for CountDistinct {
    fn resize(&mut self, slots: usize) {
        self.groups.resize_with(slots.max(self.groups.len()), Group::default);
    }

    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let passing = passing(args, filter);
        let words = self.words.of(args, passing.as_ref())?;
        for_each(slots, passing.as_ref(), |row, slot| {
            if self.groups[slot].insert(words[row]) {
                self.held += 1;
                self.words.take(words[row]);
            }
        });
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let counts = slots.iter().map(|slot| self.groups[*slot as usize].len() as i64);
        let counts: ArrayRef = Arc::new(Int64Array::from_iter_values(counts));
        as_type(&counts, &self.output)
    }

    fn clear(&mut self, slot: u32) {
        let group = std::mem::take(&mut self.groups[slot as usize]);
        self.held -= group.len();
        group.each(|word| self.words.release(word));
    }

    fn bytes(&self) -> usize {
        let numbers = match &self.words {
            Words::Values { .. } => 0,
            Words::Numbers { keys, uses } => keys.memory() + size_of_val(uses.as_slice()),
        };
        self.groups.len() * size_of::<Group>() + self.held * WORD_BYTES + numbers
    }

    fn save(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let groups = || slots.iter().map(|slot| &self.groups[*slot as usize]);
        let mut words = Vec::with_capacity(groups().map(Group::len).sum());
        groups().for_each(|group| group.each(|word| words.push(word)));
        let mut values = BinaryBuilder::new();
        self.words.encode(&words, |value| values.append_value(value))?;
        let counts = Int64Array::from_value(1, words.len());
        let lists = |items: ArrayRef| -> ArrayRef {
            let field = Field::new_list_field(items.data_type().clone(), true);
            let offsets = OffsetBuffer::from_lengths(groups().map(Group::len));
            Arc::new(ListArray::new(Arc::new(field), offsets, items, None))
        };
        Ok(vec![lists(Arc::new(values.finish())), lists(Arc::new(counts))])
    }

    fn merge(&mut self, slots: &[u32], saved: &[ArrayRef]) -> Result<()> {
        let lists = saved[0].as_list::<i32>();
        let words = self.words.decode(lists.values().as_binary())?;
        for (nth, slot) in slots.iter().enumerate() {
            let (first, end) = (lists.value_offsets()[nth], lists.value_offsets()[nth + 1]);
            for word in &words[first as usize..end as usize] {
                if self.groups[*slot as usize].insert(*word) {
                    self.held += 1;
                    self.words.take(*word);
                }
            }
        }
        Ok(())
    }

    fn merge_from(&mut self, slots: &[u32], other: &dyn Accumulator, theirs: &[u32]) -> Result<()> {
        let other: &dyn Any = other;
        let other = other.downcast_ref::<Self>().expect("accumulators of one call are alike");
        for (slot, of) in slots.iter().zip(theirs) {
            let (group, theirs) = (&mut self.groups[*slot as usize], &other.groups[*of as usize]);
            let before = group.len();
            match (&mut self.words, &other.words) {
                (Words::Numbers { keys, uses }, Words::Numbers { keys: from, .. }) => {
                    theirs.each(|number| {
                        let number = keys.intern_slots(from, &[number as u32])[0];
                        uses.resize(keys.slots_len(), 0);
                        uses[number as usize] += u32::from(group.insert(number.into()));
                    });
                }
                _ if group.len() == 0 => *group = theirs.clone(),
                _ => theirs.each(|word| {
                    group.insert(word);
                }),
            }
            self.held += group.len() - before;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow::compute::cast;
    use arrow::datatypes::{IntervalUnit, TimeUnit};

    use super::super::count::Count;
    use super::super::distinct::{Distinct, Nulls};
    use super::*;

    const SLOTS: [u32; 3] = [0, 1, 2];

    /// Forty values and nulls, spread over three slots: one with many values, one with few.
    fn rows(ty: &DataType) -> (Vec<u32>, ArrayRef, BooleanArray) {
        let value = |row: i64| (row % 11 > 0).then_some(row * 7 % 40);
        let values: ArrayRef = Arc::new((0..500).map(value).collect::<Int64Array>());
        let values = match ty {
            DataType::Date32 | DataType::Float16 | DataType::Boolean => {
                cast(&cast(&values, &DataType::Int32).unwrap(), ty).unwrap()
            }
            ty => cast(&values, ty).unwrap(),
        };
        let slot = |row: u32| if row % 100 < 3 { 1 } else { row % 2 * 2 };
        let filter = (0..500).map(|row| (row % 13 > 0).then_some(row % 3 > 0)).collect();
        ((0..500).map(slot).collect(), values, filter)
    }

    fn of(counts: &dyn Accumulator) -> Vec<i64> {
        let counts = counts.evaluate(&SLOTS).unwrap();
        counts.as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
    }

    /// Both accumulators of a type.
    fn both(ty: &DataType) -> [Box<dyn Accumulator>; 2] {
        let types = std::slice::from_ref(ty);
        let plain = Box::new(Count::new(&DataType::Int64));
        let mut both: [Box<dyn Accumulator>; 2] = [
            count_distinct(types, &DataType::Int64).unwrap(),
            Box::new(Distinct::new(plain, types, Nulls::LeftOut).unwrap()),
        ];
        both.iter_mut().for_each(|counts| counts.resize(SLOTS.len()));
        both
    }

    #[test]
    fn counts_and_states_are_those_of_distinct_before_count() {
        use DataType as D;
        let types = [
            D::Int8,
            D::Int16,
            D::Int32,
            D::Int64,
            D::UInt64,
            D::Float32,
            D::Float64,
            D::Boolean,
            D::Utf8,
            D::Date32,
            D::Timestamp(TimeUnit::Millisecond, None),
            D::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            D::Decimal128(20, 2),
        ];
        for ty in types {
            let (slots, values, filter) = rows(&ty);
            let [mut words, mut sets] = both(&ty);
            for counts in [&mut words, &mut sets] {
                counts.update(&slots, std::slice::from_ref(&values), Some(&filter)).unwrap();
            }
            let wanted = of(sets.as_ref());
            assert_eq!(of(words.as_ref()), wanted, "{ty}");
            let saved = [words.save(&SLOTS).unwrap(), sets.save(&SLOTS).unwrap()];
            let layout = |saved: &[ArrayRef]| -> Vec<DataType> {
                saved.iter().map(|column| column.data_type().clone()).collect()
            };
            assert_eq!(layout(&saved[0]), layout(&saved[1]), "{ty}");
            for saved in &saved {
                for mut counts in both(&ty) {
                    counts.merge(&SLOTS, saved).unwrap();
                    counts.merge(&SLOTS, saved).unwrap();
                    assert_eq!(of(counts.as_ref()), wanted, "{ty}");
                }
            }
            let [mut joined, _] = both(&ty);
            let half = [values.slice(0, 250)];
            joined.update(&slots[..250], &half, Some(&filter.slice(0, 250))).unwrap();
            joined.merge_from(&SLOTS, words.as_ref(), &SLOTS).unwrap();
            assert_eq!(of(joined.as_ref()), wanted, "{ty}");
            joined.clear(0);
            assert_eq!(of(joined.as_ref()), [0, wanted[1], wanted[2]], "{ty}");
            joined.merge_from(&[0], words.as_ref(), &[0]).unwrap();
            assert_eq!(of(joined.as_ref()), wanted, "{ty}");
        }
    }

    #[test]
    fn what_has_no_one_word_is_counted_by_number() {
        let types = [DataType::Interval(IntervalUnit::DayTime), DataType::Int64];
        assert!(types.iter().map(Width::of).map(|width| width.is_some()).eq([false, true]));
        let names: ArrayRef =
            Arc::new(arrow::array::StringArray::from(vec![Some("a"), Some("b"), None, Some("a")]));
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 1, 1]));
        let mut pairs =
            count_distinct(&[DataType::Utf8, DataType::Int64], &DataType::Int64).unwrap();
        pairs.resize(SLOTS.len());
        pairs.update(&[0, 0, 0, 2], &[names, ids], None).unwrap();
        assert_eq!(of(pairs.as_ref()), [2, 0, 1]);
    }
}
