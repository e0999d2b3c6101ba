//! A reader that turns bytes into fields: every read pushes one [`Field`] and
//! returns its value, so that a header's fields and its meaning come from one
//! pass.
//!
//! A read past the end never panics and is never silent: what is left becomes a
//! field, a [`Fault`] says what is missing, and the read returns `None`.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::ethernet::HardwareAddress;
use super::field::{Fault, Field, Value};

/// Why the bytes end where they end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// More was sent than there is here.
    Capture,
    /// A length in the packet says so.
    Stated,
}

/// Some bits of a field.
pub(super) struct Bits {
    key: &'static str,
    label: &'static str,
    mask: u32,
    scale: u32,
    digits: Option<usize>,
}

impl Bits {
    /// The bits under `mask`, as a number.
    pub(super) const fn new(key: &'static str, label: &'static str, mask: u32) -> Self {
        Self {
            key,
            label,
            mask,
            scale: 1,
            digits: None,
        }
    }

    /// Counted in units of `scale`.
    pub(super) const fn times(mut self, scale: u32) -> Self {
        self.scale = scale;
        self
    }

    /// Read by people in hexadecimal, with so many digits.
    pub(super) const fn hex(mut self, digits: usize) -> Self {
        self.digits = Some(digits);
        self
    }

    fn field(&self, raw: u32, range: Range<usize>) -> Field {
        let number = (raw & self.mask) >> self.mask.trailing_zeros();
        let number = u64::from(number) * u64::from(self.scale);
        Field {
            key: self.key,
            label: self.label,
            range,
            value: match self.digits {
                Some(digits) => hexadecimal(number, digits),
                None => Value::Number(number),
            },
            meaning: None,
            children: Vec::new(),
        }
    }
}

/// Reads one layer of a frame.
pub(super) struct Cursor<'a> {
    frame: &'a [u8],
    at: usize,
    end: usize,
    bound: Bound,
    fields: Vec<Field>,
    faults: Vec<Fault>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(frame: &'a [u8], range: Range<usize>, bound: Bound) -> Self {
        let end = range.end.min(frame.len());
        Self {
            frame,
            at: range.start.min(end),
            end,
            bound,
            fields: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// The place of the next byte within the frame.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub(super) fn remaining(&self) -> usize {
        self.end - self.at
    }

    /// The byte `ahead` of the next one, unread.
    pub(super) fn peek(&self, ahead: usize) -> Option<u8> {
        self.frame[self.at..self.end].get(ahead).copied()
    }

    /// What was read and what was wrong.
    pub(super) fn finish(self) -> (Vec<Field>, Vec<Fault>) {
        (self.fields, self.faults)
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Says that `missing` bytes of `field` are not there, in the words that
    /// suit why the bytes end.
    pub(super) fn fault_short(&mut self, field: &'static str, missing: usize) {
        self.fault(match self.bound {
            Bound::Capture => Fault::Cut { field, missing },
            Bound::Stated => Fault::Overrun { field, missing },
        });
    }

    /// Says that an option's length cannot be: below two, or beyond the bytes
    /// that are left.
    pub(super) fn fault_option(&mut self, kind: u8, label: &'static str, stated: usize) {
        match stated.checked_sub(self.remaining()) {
            Some(missing @ 1..) if self.bound == Bound::Capture => {
                self.fault_short(label, missing);
            }
            _ => self.fault(Fault::OptionLength { kind, stated }),
        }
    }

    pub(super) fn u8(&mut self, key: &'static str, label: &'static str) -> Option<u8> {
        let [value] = self.array(key, label, |[byte]| Value::Number(u64::from(byte)))?;
        Some(value)
    }

    pub(super) fn u16(&mut self, key: &'static str, label: &'static str) -> Option<u16> {
        self.array(key, label, |bytes| {
            Value::Number(u64::from(u16::from_be_bytes(bytes)))
        })
        .map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, key: &'static str, label: &'static str) -> Option<u32> {
        self.array(key, label, |bytes| {
            Value::Number(u64::from(u32::from_be_bytes(bytes)))
        })
        .map(u32::from_be_bytes)
    }

    /// A byte that people read in hexadecimal.
    pub(super) fn hex8(&mut self, key: &'static str, label: &'static str) -> Option<u8> {
        let value = self.u8(key, label)?;
        self.revalue(hexadecimal(value.into(), 2));
        Some(value)
    }

    /// Two bytes that people read in hexadecimal.
    pub(super) fn hex16(&mut self, key: &'static str, label: &'static str) -> Option<u16> {
        let value = self.u16(key, label)?;
        self.revalue(hexadecimal(value.into(), 4));
        Some(value)
    }

    /// Four bytes that people read in hexadecimal.
    pub(super) fn hex32(&mut self, key: &'static str, label: &'static str) -> Option<u32> {
        let value = self.u32(key, label)?;
        self.revalue(hexadecimal(value.into(), 8));
        Some(value)
    }

    pub(super) fn ipv4(&mut self, key: &'static str, label: &'static str) -> Option<Ipv4Addr> {
        self.array(key, label, |bytes| {
            Value::Address(IpAddr::V4(Ipv4Addr::from(bytes)))
        })
        .map(|bytes: [u8; 4]| Ipv4Addr::from(bytes))
    }

    pub(super) fn ipv6(&mut self, key: &'static str, label: &'static str) -> Option<Ipv6Addr> {
        self.array(key, label, |bytes| {
            Value::Address(IpAddr::V6(Ipv6Addr::from(bytes)))
        })
        .map(|bytes: [u8; 16]| Ipv6Addr::from(bytes))
    }

    pub(super) fn hardware(
        &mut self,
        key: &'static str,
        label: &'static str,
    ) -> Option<HardwareAddress> {
        self.array(key, label, |bytes| Value::Hardware(HardwareAddress(bytes)))
            .map(HardwareAddress)
    }

    /// `length` bytes that are not taken further apart. None of them is no
    /// field.
    pub(super) fn bytes(
        &mut self,
        length: usize,
        key: &'static str,
        label: &'static str,
    ) -> Option<&'a [u8]> {
        let (range, bytes) = self.take(length, label)?;
        if length > 0 {
            self.push(key, label, range, Value::Bytes(bytes.to_vec()));
        }
        Some(bytes)
    }

    /// Everything that is left, as [`Cursor::bytes`].
    pub(super) fn rest(&mut self, key: &'static str, label: &'static str) -> &'a [u8] {
        self.bytes(self.remaining(), key, label).unwrap_or_default()
    }

    /// `size` bytes that several numbers share, one field each.
    pub(super) fn packed(&mut self, size: usize, parts: &[Bits]) -> Option<u32> {
        let label = parts.first().map_or("", |part| part.label);
        let (range, bytes) = self.take(size, label)?;
        let raw = bytes
            .iter()
            .fold(0, |raw, byte| raw << 8 | u32::from(*byte));
        self.fields
            .extend(parts.iter().map(|part| part.field(raw, range.clone())));
        Some(raw)
    }

    /// Goes back over bytes that the next field shares with the last.
    pub(super) fn step_back(&mut self, bytes: usize) {
        self.at = self.at.saturating_sub(bytes);
    }

    /// The bits of the last field, as its parts.
    pub(super) fn parts(&mut self, raw: u32, parts: &[Bits]) {
        if let Some(last) = self.fields.last_mut() {
            let range = last.range.clone();
            last.children
                .extend(parts.iter().map(|part| part.field(raw, range.clone())));
        }
    }

    /// What the last field means.
    pub(super) fn meaning(&mut self, meaning: impl Into<Cow<'static, str>>) {
        if let Some(last) = self.fields.last_mut() {
            last.meaning = Some(meaning.into());
        }
    }

    /// Another value for the last field, from the same bytes.
    pub(super) fn revalue(&mut self, value: Value) {
        if let Some(last) = self.fields.last_mut() {
            last.value = value;
        }
    }

    /// What the field with this key means, once later bytes have told.
    pub(super) fn explain(&mut self, key: &str, meaning: impl Into<Cow<'static, str>>) {
        if let Some(field) = self.fields.iter_mut().find(|field| field.key == key) {
            field.meaning = Some(meaning.into());
        }
    }

    /// The next `length` bytes as one field, whose parts `body` reads. What
    /// `body` leaves unread is skipped.
    pub(super) fn group<T>(
        &mut self,
        length: usize,
        (key, label): (&'static str, &'static str),
        body: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let outer = std::mem::take(&mut self.fields);
        let start = self.at;
        let result = self.within(length, body);
        let children = std::mem::replace(&mut self.fields, outer);
        self.fields.push(Field {
            key,
            label,
            range: start..self.at,
            value: Value::Group,
            meaning: None,
            children,
        });
        result
    }

    /// Reads with `body` no further than `length` bytes, then goes on after
    /// them.
    pub(super) fn within<T>(&mut self, length: usize, body: impl FnOnce(&mut Self) -> T) -> T {
        let outer = (self.end, self.bound);
        let end = self.end.min(self.at.saturating_add(length));
        if end < self.end {
            self.bound = Bound::Stated;
        }
        self.end = end;
        let result = body(self);
        self.at = end;
        (self.end, self.bound) = outer;
        result
    }

    fn array<const N: usize>(
        &mut self,
        key: &'static str,
        label: &'static str,
        value: impl FnOnce([u8; N]) -> Value,
    ) -> Option<[u8; N]> {
        let (range, bytes) = self.take(N, label)?;
        let bytes: [u8; N] = bytes.try_into().ok()?;
        self.push(key, label, range, value(bytes));
        Some(bytes)
    }

    fn take(&mut self, length: usize, label: &'static str) -> Option<(Range<usize>, &'a [u8])> {
        let available = self.remaining();
        if length > available {
            self.fault_short(label, length - available);
            let range = self.at..self.end;
            self.at = self.end;
            if !range.is_empty() {
                let bytes = self.frame[range.clone()].to_vec();
                self.push("_ws.short", label, range, Value::Bytes(bytes));
                self.meaning("cut");
            }
            return None;
        }
        let range = self.at..self.at + length;
        self.at = range.end;
        Some((range.clone(), &self.frame[range]))
    }

    fn push(&mut self, key: &'static str, label: &'static str, range: Range<usize>, value: Value) {
        self.fields.push(Field {
            key,
            label,
            range,
            value,
            meaning: None,
            children: Vec::new(),
        });
    }
}

/// A number that people read in hexadecimal.
pub(super) fn hexadecimal(number: u64, digits: usize) -> Value {
    Value::Hex { number, digits }
}
