//! A process: a chain of calls, of which only the last one runs. The others wait for its answer.
//!
//! ```text
//! merge, undoing ─▶ settle the other
//!                └▶ point (an undoing)                    settle ─▶ fence the survivor
//! write ─▶ settle whom it was led from                    claim ─▶ ask each pointer ─▶ settle, fence
//!       └▶ claim                                          lookup ─▶ settle
//! ```
//!
//! A step reads one record or the entry, or applies one command.

use crate::claim::{Ask, Claim};
use crate::lookup::Lookup;
use crate::merge::{Merge, Point, Settle};
use crate::state::{Command, Committed, Customer, Customers, Safeguards};
use crate::write::Write;

/// What all steps go by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) safeguards: Safeguards,
    /// How often a call begins again after a conflict, or is led to another customer.
    pub(crate) tries_max: u8,
    /// Whether the ids are in the opposite order.
    pub(crate) descending: bool,
}

impl Rules {
    /// The customer with the smallest id.
    pub(crate) fn first(&self, customers: Customers) -> Option<Customer> {
        if self.descending { customers.iter().next_back() } else { customers.iter().next() }
    }
}

/// A call between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Frame {
    Merge(Merge),
    Point(Point),
    Settle(Settle),
    Write(Write),
    Claim(Claim),
    Ask(Ask),
    Lookup(Lookup),
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    /// It did what it was to do, or that was done already.
    Done,
    /// This customer holds X: the answer to a claim, or of a lookup.
    Held(Customer),
    /// Nobody holds X by this pointer, or nobody at all.
    Free,
    /// The pointer leads to the claimant.
    Own,
    /// What it was to do cannot be done, or there were too many conflicts.
    GaveUp,
}

/// What a call does next.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Next {
    Stay,
    Call(Frame),
    Propose(Command),
    Return(Answer),
}

impl Next {
    /// What follows when a command was applied, or met a conflict.
    pub(crate) const fn after_proposal(tries: &mut u8, applied: bool, rules: &Rules) -> Self {
        *tries += 1;
        match applied {
            true => Self::Return(Answer::Done),
            false if *tries < rules.tries_max => Self::Stay,
            false => Self::Return(Answer::GaveUp),
        }
    }
}

/// A chain of calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    frames: Vec<Frame>,
    /// A proposal of the last call. It may be applied at any moment.
    proposed: Option<Command>,
    pub(crate) answer: Option<Answer>,
}

impl Process {
    pub(crate) fn new(frame: Frame) -> Self {
        Self { frames: vec![frame], proposed: None, answer: None }
    }

    /// Makes the next step.
    pub(crate) fn step(&mut self, committed: &mut Committed, rules: &Rules) {
        let Some(frame) = self.frames.last_mut() else { return };
        let mut next = match self.proposed.take() {
            Some(command) => frame.proposed(committed.apply(&command, &rules.safeguards), rules),
            None => frame.step(committed, rules),
        };
        loop {
            match next {
                Next::Stay => return,
                Next::Call(called) => {
                    self.frames.push(called);
                    return;
                }
                Next::Propose(command) => {
                    self.proposed = Some(command);
                    return;
                }
                Next::Return(answer) => {
                    self.frames.pop();
                    let Some(caller) = self.frames.last_mut() else {
                        self.answer = Some(answer);
                        return;
                    };
                    next = caller.answered(answer, rules);
                }
            }
        }
    }

    /// Makes all steps at once; how it ended.
    pub(crate) fn run(frame: Frame, committed: &mut Committed, rules: &Rules) -> Answer {
        let mut process = Self::new(frame);
        loop {
            process.step(committed, rules);
            if let Some(answer) = process.answer {
                return answer;
            }
        }
    }
}

impl Frame {
    fn step(&mut self, committed: &Committed, rules: &Rules) -> Next {
        match self {
            Self::Merge(merge) => merge.step(committed, rules),
            Self::Point(point) => point.step(committed),
            Self::Settle(settle) => settle.step(committed, rules),
            Self::Write(write) => write.step(committed, rules),
            Self::Claim(claim) => claim.step(committed, rules),
            Self::Ask(ask) => ask.step(committed, rules),
            Self::Lookup(lookup) => lookup.step(committed, rules),
        }
    }

    /// Goes on after its proposal was applied, or not.
    fn proposed(&mut self, applied: bool, rules: &Rules) -> Next {
        match self {
            Self::Merge(merge) => merge.proposed(applied, rules),
            Self::Point(point) => point.proposed(applied, rules),
            Self::Settle(settle) => settle.proposed(applied, rules),
            Self::Write(write) => write.proposed(applied, rules),
            Self::Claim(claim) => claim.proposed(applied, rules),
            Self::Ask(ask) => ask.proposed(applied, rules),
            Self::Lookup(_) => Next::Stay,
        }
    }

    /// Goes on after a call that it made was answered.
    fn answered(&mut self, answer: Answer, rules: &Rules) -> Next {
        match self {
            Self::Merge(merge) => merge.answered(answer),
            Self::Write(write) => write.answered(answer),
            Self::Claim(claim) => claim.answered(answer, rules),
            Self::Ask(_) | Self::Lookup(_) | Self::Point(_) | Self::Settle(_) => Next::Stay,
        }
    }
}
