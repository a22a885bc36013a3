//! Pure work on many things that do not depend on each other, on all processors. What comes out does not depend on how many
//! there are.

use std::panic::resume_unwind;
use std::thread::{available_parallelism, scope};

/// Things for which a further thread is worth its start and the memory that it keeps to itself. Single changes and bursts of
/// them have fewer.
const WORTH_A_THREAD: usize = 1000;

/// What is made of each part of the things, in their order; a few are one part.
pub fn in_parts<T: Sync, R: Send>(things: &[T], make: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    let parts = match things.len() / WORTH_A_THREAD {
        0 | 1 => 1,
        most => available_parallelism().map_or(1, |processors| most.min(processors.get())),
    };
    if parts == 1 {
        return vec![make(things)];
    }
    let make = &make;
    scope(|scope| {
        let parts = things.chunks(things.len().div_ceil(parts));
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || make(part))).collect();
        let made = threads.into_iter().map(|thread| thread.join());
        made.map(|made| made.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_things_are_worked_on_in_their_order() {
        for many in [0, 1, WORTH_A_THREAD, 2 * WORTH_A_THREAD, 5 * WORTH_A_THREAD + 7] {
            let things: Vec<_> = (0..many).collect();
            let made = in_parts(&things, |part| part.to_vec());
            assert_eq!(made.concat(), things);
        }
    }

    #[test]
    fn few_things_are_one_part() {
        let things = vec![(); 2 * WORTH_A_THREAD - 1];
        assert_eq!(in_parts(&things, <[()]>::len), [things.len()]);
    }

    #[test]
    #[should_panic(expected = "the last")]
    fn a_panic_goes_on() {
        let things: Vec<_> = (0..4 * WORTH_A_THREAD).collect();
        in_parts(&things, |part| assert!(!part.contains(&(things.len() - 1)), "the last"));
    }
}
