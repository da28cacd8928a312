//! Sorting with little code. Every type of element that the standard library sorts brings kilobytes of its own into the function;
//! here all types share the code that sorts numbers.

use std::cmp::Ordering;

/// Sorts in ascending order. Equal elements keep their order.
pub(crate) fn sort<T: Ord>(items: &mut Vec<T>) {
    sort_by(items, &|one, other| one.cmp(other));
}

/// Sorts by an order of its own. Equal elements keep their order.
pub(crate) fn sort_by<T>(items: &mut Vec<T>, order: &dyn Fn(&T, &T) -> Ordering) {
    let by_number = |one: u32, other: u32| match (items.get(one as usize), items.get(other as usize)) {
        (Some(one), Some(other)) => order(one, other),
        _ => Ordering::Equal,
    };
    let numbers = numbers(items.len(), &by_number);
    let mut taken: Vec<Option<T>> = std::mem::take(items).into_iter().map(Some).collect();
    items.extend(numbers.into_iter().filter_map(|number| taken.get_mut(number as usize)?.take()));
}

/// Returns the numbers of elements in their order. No list has 2^32 elements.
fn numbers(count: usize, order: &dyn Fn(u32, u32) -> Ordering) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..count as u32).collect();
    numbers.sort_by(|one, other| order(*one, *other));
    numbers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_sorts_like_the_standard_library(mut items in prop::collection::vec((0..20_u8, any::<u8>()), 0..200)) {
            let mut expected = items.clone();
            expected.sort();
            let mut by_first = items.clone();
            sort_by(&mut by_first, &|one, other| one.0.cmp(&other.0));
            let mut expected_by_first = items.clone();
            expected_by_first.sort_by_key(|item| item.0);
            sort(&mut items);
            prop_assert_eq!(items, expected);
            prop_assert_eq!(by_first, expected_by_first);
        }
    }
}
