//! What either end of a session remembers, so that the session survives a break of what carries it: who sends keeps what
//! the other end did not acknowledge, who receives counts what came.
//!
//! Messages are numbered by their order, from 1; no message carries its number. When a session is resumed each end says
//! how many it has received, and the other sends what comes after that once more: so each message arrives once, and in
//! order. Owns this bookkeeping. Must not know transports, nor what the messages say.

use std::collections::VecDeque;

/// Messages that may be unacknowledged; whoever has more to send waits.
pub const UNACKNOWLEDGED_MAX: usize = 1 << 16;
/// Messages after which the receiver acknowledges them.
pub const ACKNOWLEDGE_EVERY: u64 = 32;
/// Bytes of cut messages after which it does: large ones are not kept for long.
pub const ACKNOWLEDGE_BYTES: u64 = 256 << 10;

/// The other end says that it has received what it cannot have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{received} messages are said to have arrived, of those between {acknowledged} and {sent}")]
pub struct CountError {
    /// What it said.
    pub received: u64,
    /// What it had said before.
    pub acknowledged: u64,
    /// What was sent.
    pub sent: u64,
}

/// Faults that could easily be made here. The simulator must find each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg(feature = "planted-bugs")]
pub enum Bug {
    /// One message more is forgotten than the other end has.
    OneForgotten,
    /// What the other end received, and did not acknowledge before the connection broke, comes again.
    ReceivedRepeated,
}

/// What was sent: the messages that the other end did not acknowledge.
///
/// ```
/// use tilework_proto::replay::Sent;
///
/// let mut sent = Sent::default();
/// ["a", "b", "c"].map(|message| sent.push(message));
/// sent.acknowledged(1).unwrap();
/// // The connection broke; the other end has received two.
/// assert_eq!(sent.after(2).unwrap().collect::<Vec<_>>(), [&"c"]);
/// ```
#[derive(Debug)]
pub struct Sent<T> {
    messages: VecDeque<T>,
    acknowledged: u64,
    /// A fault to play, for the test that the simulator finds it.
    #[cfg(feature = "planted-bugs")]
    pub planted: Option<Bug>,
}

impl<T> Default for Sent<T> {
    fn default() -> Sent<T> {
        Sent {
            messages: VecDeque::new(),
            acknowledged: 0,
            #[cfg(feature = "planted-bugs")]
            planted: None,
        }
    }
}

impl<T> Sent<T> {
    /// Keeps one more message, which is sent now, or when the session is resumed.
    pub fn push(&mut self, message: T) {
        self.messages.push_back(message);
    }

    /// How many of the session's messages the other end is known to have.
    #[must_use]
    pub fn n_acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Whether what is sent next must wait for acknowledgements.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.messages.len() >= UNACKNOWLEDGED_MAX
    }

    /// Forgets the first `received` messages of the session: the other end has them.
    ///
    /// # Errors
    /// [`CountError`] where the other end cannot have received so many, or said before that it had received more.
    pub fn acknowledged(&mut self, received: u64) -> Result<(), CountError> {
        let sent = self.acknowledged + self.messages.len() as u64;
        if !(self.acknowledged..=sent).contains(&received) {
            return Err(CountError { received, acknowledged: self.acknowledged, sent });
        }
        #[cfg(feature = "planted-bugs")]
        let received =
            if self.planted == Some(Bug::OneForgotten) { sent.min(received + 1) } else { received };
        self.messages.drain(..(received - self.acknowledged) as usize);
        self.acknowledged = received;
        Ok(())
    }

    /// Forgets the first `received` messages of the session and returns the others, to be sent once more.
    ///
    /// # Errors
    /// As [`Sent::acknowledged`].
    pub fn after(&mut self, received: u64) -> Result<impl ExactSizeIterator<Item = &T>, CountError> {
        #[cfg(feature = "planted-bugs")]
        let received = if self.planted == Some(Bug::ReceivedRepeated) { self.acknowledged } else { received };
        self.acknowledged(received)?;
        Ok(self.messages.iter())
    }
}

/// What was received: how many messages, and how many of them the other end knows of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Received {
    count: u64,
    acknowledged: u64,
    bytes: u64,
}

impl Received {
    /// One more message has been taken in, of so many bytes where it came cut; the count to be acknowledged where it is time to.
    #[must_use]
    pub fn one_more(&mut self, bytes: u64) -> Option<u64> {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        let due = self.count - self.acknowledged >= ACKNOWLEDGE_EVERY || self.bytes >= ACKNOWLEDGE_BYTES;
        due.then(|| self.said())
    }

    /// The messages of the session so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The messages of the session so far, which the other end is told with this.
    #[must_use]
    pub fn said(&mut self) -> u64 {
        (self.acknowledged, self.bytes) = (self.count, 0);
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_impossible_count_is_an_error() {
        let mut sent = Sent::default();
        (0..5).for_each(|n| sent.push(n));
        sent.acknowledged(3).unwrap();
        for received in [2, 6, u64::MAX] {
            let error = CountError { received, acknowledged: 3, sent: 5 };
            assert_eq!(sent.acknowledged(received), Err(error));
            assert_eq!(sent.after(received).err(), Some(error));
        }
        assert_eq!(sent.after(5).unwrap().len(), 0);
    }

    #[test]
    fn many_messages_or_many_bytes_are_acknowledged() {
        let mut received = Received::default();
        for _ in 1..ACKNOWLEDGE_EVERY {
            assert_eq!(received.one_more(10), None);
        }
        assert_eq!(received.one_more(10), Some(ACKNOWLEDGE_EVERY));
        assert_eq!(received.one_more(ACKNOWLEDGE_BYTES), Some(ACKNOWLEDGE_EVERY + 1));
        assert_eq!(received.one_more(10), None);
        assert_eq!(received.said(), ACKNOWLEDGE_EVERY + 2);
    }

    /// What happens to one direction of a session.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Send,
        /// The oldest message under way arrives.
        Arrive,
        /// The oldest acknowledgement under way arrives.
        Acknowledge,
        /// What is under way is lost, and the session resumed.
        Break,
    }

    proptest! {
        #[test]
        fn each_message_arrives_once_and_in_order(steps in proptest::collection::vec(
            prop_oneof![4 => Just(Step::Send), 4 => Just(Step::Arrive), 1 => Just(Step::Acknowledge), 1 => Just(Step::Break)],
            0..400,
        )) {
            let (mut sent, mut received) = (Sent::default(), Received::default());
            let (mut way, mut back) = (VecDeque::new(), VecDeque::new());
            let (mut n, mut came) = (0, Vec::new());
            for step in steps.into_iter().chain([Step::Break]) {
                match step {
                    Step::Send => {
                        sent.push(n);
                        way.push_back(n);
                        n += 1;
                    }
                    Step::Arrive => {
                        if let Some(message) = way.pop_front() {
                            came.push(message);
                            back.extend(received.one_more(ACKNOWLEDGE_BYTES / 3));
                        }
                    }
                    Step::Acknowledge => {
                        if let Some(count) = back.pop_front() {
                            sent.acknowledged(count).unwrap();
                        }
                    }
                    Step::Break => {
                        back.clear();
                        way = sent.after(received.said()).unwrap().copied().collect();
                    }
                }
            }
            came.extend(way);
            prop_assert_eq!(came, (0..n).collect::<Vec<_>>());
        }
    }
}
