//! Illnesses in a row, as one server heard of them from one service: after five nobody calls it until a probe was well.

use std::sync::Mutex;

/// So many illnesses in a row open the breaker.
const ILLNESSES: u32 = 5;

#[derive(Debug, Default)]
struct Counted {
    ill: u32,
    openings: u32,
}

/// How the calls of one server to one service went, counted apart from the hub.
#[derive(Debug, Default)]
pub struct Row(Mutex<Counted>);

impl Row {
    /// Whether no question and no settlement may be sent now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.lock().unwrap().ill >= ILLNESSES
    }

    /// How often it was opened so far: what begins now is counted only until it is opened once more.
    #[must_use]
    pub fn openings(&self) -> u32 {
        self.0.lock().unwrap().openings
    }

    /// A call, which began after so many openings, ended. One that began before it was opened says nothing new when it
    /// ends ill; when it ends well, nothing is expected of the breaker.
    pub fn ended(&self, openings: u32, ill: bool) {
        let mut counted = self.0.lock().unwrap();
        if !ill {
            counted.ill = 0;
        } else if openings == counted.openings {
            counted.ill += 1;
            counted.openings += u32::from(counted.ill == ILLNESSES);
        }
    }
}
