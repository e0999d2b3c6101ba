//! Walks over the words of one clause and reads values off them; each error
//! names the word, its right form, and where it stands.

use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::Dialect;
use super::error::{Mark, Problem, Reason, Source, SpecError};
use super::terms::Said;
use super::token::Token;
use super::words::{self, Word};
use crate::units::{ByteSize, Probability, QuantityError, Rate, Time};

pub(super) struct Reader<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) dialect: Dialect,
    rest: &'a [Token],
    /// The last token that was taken.
    last: Option<&'a Token>,
    /// Where the word that is being read began.
    start: usize,
    /// Where the last token that was taken ended.
    end: usize,
    pub(super) warnings: &'a mut Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        source: &'a Arc<Source>,
        dialect: Dialect,
        tokens: &'a [Token],
        warnings: &'a mut Vec<String>,
    ) -> Self {
        Self {
            source,
            dialect,
            rest: tokens,
            last: None,
            start: 0,
            end: 0,
            warnings,
        }
    }

    /// The next token, left where it is.
    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.rest.first()
    }

    /// The next token.
    pub(super) fn take(&mut self) -> Option<&'a Token> {
        let (token, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.last = Some(token);
        self.end = token.span.end;
        Some(token)
    }

    /// The next token if it is this one.
    pub(super) fn takes(&mut self, text: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.text == text);
        if found {
            self.take();
        }
        found
    }

    /// The next token if it is one of these, left where it is.
    pub(super) fn peek_choice(&self, choices: &[&'static str]) -> Option<&'static str> {
        let token = self.peek()?;
        choices.iter().copied().find(|choice| *choice == token.text)
    }

    /// The word that the next token is, if it is one.
    pub(super) fn peek_word(&self) -> Option<&'static Word> {
        let token = self.peek().filter(|token| !token.is_quoted)?;
        let typed = match self.dialect {
            Dialect::Options => token.text.strip_prefix("--")?,
            Dialect::Netem | Dialect::Plain => &token.text,
        };
        words::find(typed)
    }

    /// The next word.
    pub(super) fn word(&mut self) -> Result<Option<&'static Word>, SpecError> {
        let Some(token) = self.peek() else {
            return Ok(None);
        };
        let (word, before) = (self.peek_word(), self.last);
        self.take();
        self.start = token.span.start;
        match word {
            Some(word) => Ok(Some(word)),
            None => Err(self.unknown(token, before)),
        }
    }

    /// What to say of a word that is none, and of what was taken before it.
    fn unknown(&self, token: &Token, before: Option<&Token>) -> SpecError {
        let mut command = self.rest.iter().chain([token]);
        if let Some(netem) = command.find(|token| token.text == "netem")
            && words::TC.contains(&token.text.as_str())
        {
            return self.error(token.span.start..netem.span.end, Problem::CommandLine);
        }
        let apart = before.and_then(|number| self.apart(number, token));
        apart.unwrap_or_else(|| self.error(token.span.clone(), words::unknown(&token.text)))
    }

    /// A number with its unit apart from it: `20 ms`.
    fn apart(&self, number: &Token, unit: &Token) -> Option<SpecError> {
        let is_bare = |letter: char| letter.is_ascii_digit() || letter == '.';
        let both = [number.text.as_str(), &unit.text].concat();
        let is_quantity = both.parse::<Probability>().is_ok()
            || both.parse::<Time>().is_ok()
            || both.parse::<Rate>().is_ok()
            || both.parse::<ByteSize>().is_ok();
        let is_apart = number.text.chars().all(is_bare) && !unit.text.contains(is_bare);
        (is_apart && is_quantity)
            .then(|| self.error(number.span.start..unit.span.end, Problem::Apart(both)))
    }

    /// The value that a word needs.
    pub(super) fn needed(&mut self, word: &Word) -> Result<&'a Token, SpecError> {
        if self.peek().is_none() || self.peek_word().is_some() {
            return Err(self.error(self.start..self.end, word.missing()));
        }
        self.take()
            .ok_or_else(|| unreachable!("there is a token, as was seen"))
    }

    /// A value that a word needs.
    pub(super) fn value<T>(&mut self, word: &Word) -> Result<T, SpecError>
    where
        T: FromStr,
        Reason: From<T::Err>,
    {
        let token = self.needed(word)?;
        token
            .text
            .parse()
            .map_err(|why| self.bad(word, token, Reason::from(why)))
    }

    /// A number of percent that a word needs. A bare number is in percent as
    /// well, and one below 1 may have been meant otherwise.
    pub(super) fn percentage(&mut self, word: &Word) -> Result<Probability, SpecError> {
        let token = self.needed(word)?;
        self.as_percentage(word, token)
    }

    /// One more number of percent, if a number follows.
    pub(super) fn next_percentage(
        &mut self,
        word: &Word,
    ) -> Result<Option<Probability>, SpecError> {
        match self.peek() {
            Some(token) if token.is_number(true) => {
                self.take();
                self.as_percentage(word, token).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn as_percentage(&mut self, word: &Word, token: &Token) -> Result<Probability, SpecError> {
        let probability: Probability = token
            .text
            .parse()
            .map_err(|why: QuantityError| self.bad(word, token, why.into()))?;
        let is_small = probability.is_possible() && probability.value() < 0.01;
        if is_small && !token.text.ends_with('%') {
            let fraction: f64 = token.text.parse().unwrap_or_default();
            self.warnings.push(format!(
                "{} {} is {probability}, as tc reads it; say {}% if you mean that",
                word.name,
                token.text,
                fraction * 100.0,
            ));
        }
        Ok(probability)
    }

    /// A time that a word needs.
    pub(super) fn time(&mut self, word: &Word) -> Result<Time, SpecError> {
        let token = self.needed(word)?;
        self.as_time(word, token)
    }

    /// A time that is said with its unit in every dialect: netem has no such
    /// word.
    pub(super) fn time_with_unit(&mut self, word: &Word) -> Result<Time, SpecError> {
        self.value(word)
    }

    /// One more time, if a number follows.
    pub(super) fn next_time(&mut self, word: &Word) -> Result<Option<Time>, SpecError> {
        match self.peek() {
            Some(token) if token.is_number(true) => {
                self.take();
                self.as_time(word, token).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// A time of few microseconds that is said without its unit may have been
    /// meant otherwise.
    fn as_time(&mut self, word: &Word, token: &Token) -> Result<Time, SpecError> {
        const FEW: Duration = Duration::from_millis(10);
        let text = &token.text;
        let time = match self.dialect {
            Dialect::Netem => Time::as_tc(text),
            Dialect::Plain | Dialect::Options => text.parse(),
        };
        let time = time.map_err(|why| self.bad(word, token, why.into()))?;
        if text.parse::<Time>().is_err() && time.0 < FEW {
            self.warnings.push(format!(
                "{} {text} is {time}, as tc reads it; say {text}ms if you mean that",
                word.name
            ));
        }
        Ok(time)
    }

    /// A whole number that a word needs.
    pub(super) fn whole<T>(&mut self, word: &Word, least: i64, most: i64) -> Result<T, SpecError>
    where
        T: TryFrom<i64>,
    {
        let token = self.needed(word)?;
        self.as_whole(word, token, least, most)
    }

    /// One more whole number, if a number follows.
    pub(super) fn next_whole<T>(
        &mut self,
        word: &Word,
        least: i64,
        most: i64,
    ) -> Result<Option<T>, SpecError>
    where
        T: TryFrom<i64>,
    {
        match self.peek() {
            Some(token) if token.is_number(true) => {
                self.take();
                self.as_whole(word, token, least, most).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn as_whole<T>(&self, word: &Word, token: &Token, least: i64, most: i64) -> Result<T, SpecError>
    where
        T: TryFrom<i64>,
    {
        let number: Option<i64> = token.text.parse().ok();
        let number = number.filter(|number| (least..=most).contains(number));
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| self.bad(word, token, Reason::Range(least, most.unsigned_abs())))
    }

    /// A rate that a word needs, with a warning where it is not what one thinks.
    pub(super) fn rate(&mut self, word: &Word) -> Result<Rate, SpecError> {
        let token = self.needed(word)?;
        let rate: Rate = token
            .text
            .parse()
            .map_err(|why: QuantityError| self.bad(word, token, why.into()))?;
        let typed = &token.text;
        if typed.to_ascii_lowercase().ends_with("bps") {
            self.warnings.push(format!(
                "rate {typed} is {rate}: tc's bps is bytes per second; for bits say bit, as in 10mbit"
            ));
        } else if (1..1000).contains(&rate.0) {
            self.warnings.push(format!(
                "rate {typed} is {rate} per second: a packet of 1500 bytes takes {:.0} s; \
                 say {typed}mbit if you mean that",
                rate.time_for(1500).as_secs_f64(),
                typed = typed.trim_end_matches("bit"),
            ));
        }
        Ok(rate)
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        word: &Word,
        choices: &[(&str, T)],
        names: &'static str,
    ) -> Result<T, SpecError> {
        let token = self.needed(word)?;
        let found = choices.iter().find(|(name, _)| *name == token.text);
        found
            .map(|(_, choice)| *choice)
            .ok_or_else(|| self.bad(word, token, Reason::Choice(names)))
    }

    /// A value that was read, with where it and its word stand.
    pub(super) fn said<T>(&self, value: T) -> Said<T> {
        Said {
            value,
            mark: self.mark(self.start..self.end),
        }
    }

    /// Keeps a value; a word is said once in a clause.
    pub(super) fn keep<T>(
        &self,
        place: &mut Option<Said<T>>,
        value: T,
        word: &Word,
    ) -> Result<(), SpecError> {
        if place.is_some() {
            return Err(self.error(self.start..self.end, Problem::Repeated(word.name)));
        }
        *place = Some(self.said(value));
        Ok(())
    }

    pub(super) fn bad(&self, word: &Word, token: &Token, why: Reason) -> SpecError {
        if let Some(unit) = self.peek().filter(|_| self.last == Some(token))
            && let Some(apart) = self.apart(token, unit)
        {
            return apart;
        }
        let problem = Problem::Bad {
            word: word.name,
            text: token.text.clone(),
            why,
            form: word.form,
        };
        self.error(token.span.clone(), problem)
    }

    /// The word that is being read, up to here.
    pub(super) fn here(&self) -> Range<usize> {
        self.start..self.end
    }

    pub(super) fn error(&self, span: Range<usize>, problem: Problem) -> SpecError {
        SpecError::new(self.mark(span), problem)
    }

    /// Everything from `first` up to here.
    pub(super) fn since(&self, first: usize) -> Mark {
        self.mark(first..self.end.max(first))
    }

    fn mark(&self, span: Range<usize>) -> Mark {
        Mark {
            source: Arc::clone(self.source),
            span,
        }
    }
}
