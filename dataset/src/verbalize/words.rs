//! Sentences from actions, lists and numbers in words.

use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

/// An action line taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// As in the line: "PUTBACK".
    pub verb: &'a str,
    /// Names, in order.
    pub objects: Vec<&'a str>,
}

impl<'a> Line<'a> {
    /// Reads `[PUTBACK] <mug> (12) <kitchen table> (4)`; `None` where the brackets are missing.
    pub(crate) fn read(line: &'a str) -> Option<Self> {
        let (verb, rest) = line.trim().strip_prefix('[')?.split_once(']')?;
        let objects = rest
            .split('<')
            .skip(1)
            .map(|part| part.split_once('>').map(|(name, _)| name))
            .collect::<Option<_>>()?;
        Some(Self { verb, objects })
    }

    /// "put the mug on the kitchen table".
    pub(crate) fn imperative(&self) -> String {
        match VERBS.iter().find(|(verb, ..)| *verb == self.verb) {
            Some((_, imperative, _)) => self.fill(imperative),
            None => self.generic(self.verb.to_lowercase()),
        }
    }

    /// "Put the mug on the kitchen table."
    pub(crate) fn instruction(&self) -> String {
        capital(&self.imperative()) + "."
    }

    /// "placed the mug on the kitchen table": one of several ways to say what was done.
    pub(crate) fn past(&self, rng: &mut ChaCha8Rng) -> String {
        let ways = VERBS.iter().find(|(verb, ..)| *verb == self.verb);
        match ways.and_then(|(_, _, past)| past.choose(rng)) {
            Some(past) => self.fill(past),
            None => self.generic(format!("did {}", self.verb.to_lowercase())),
        }
    }

    fn fill(&self, template: &str) -> String {
        let object = |i: usize| self.objects.get(i).copied().unwrap_or("thing");
        template.replace("{0}", object(0)).replace("{1}", object(1))
    }

    fn generic(&self, mut words: String) -> String {
        for object in &self.objects {
            words += " the ";
            words += object;
        }
        words
    }
}

/// Verb, imperative (as the simulator's table has it; a test where both are seen holds them against each other), and
/// the ways a story may tell it.
#[rustfmt::skip]
const VERBS: [(&str, &str, &[&str]); 22] = [
    ("WALK", "walk to the {0}", &["walked to the {0}", "went to the {0}"]),
    ("FIND", "find the {0}", &["found the {0}"]),
    ("GRAB", "grab the {0}", &["grabbed the {0}", "took the {0}", "picked up the {0}"]),
    ("PUTBACK", "put the {0} on the {1}", &["put the {0} on the {1}", "placed the {0} on the {1}", "left the {0} on the {1}"]),
    ("PUTIN", "put the {0} in the {1}", &["put the {0} in the {1}", "placed the {0} in the {1}", "left the {0} in the {1}"]),
    ("DROP", "drop the {0}", &["dropped the {0}"]),
    ("OPEN", "open the {0}", &["opened the {0}"]),
    ("CLOSE", "close the {0}", &["closed the {0}", "shut the {0}"]),
    ("SWITCHON", "switch on the {0}", &["switched on the {0}", "turned on the {0}"]),
    ("SWITCHOFF", "switch off the {0}", &["switched off the {0}", "turned off the {0}"]),
    ("SIT", "sit on the {0}", &["sat on the {0}", "sat down on the {0}"]),
    ("LIE", "lie on the {0}", &["lay on the {0}", "lay down on the {0}"]),
    ("STANDUP", "stand up", &["stood up", "got up"]),
    ("TURNTO", "turn to the {0}", &["turned to the {0}"]),
    ("LOOKAT", "look at the {0}", &["looked at the {0}"]),
    ("WATCH", "watch the {0}", &["watched the {0}"]),
    ("TOUCH", "touch the {0}", &["touched the {0}"]),
    ("DRINK", "drink from the {0}", &["drank from the {0}"]),
    ("EAT", "eat the {0}", &["ate the {0}"]),
    ("READ", "read the {0}", &["read the {0}"]),
    ("WASH", "wash the {0}", &["washed the {0}"]),
    ("WIPE", "wipe the {0}", &["wiped the {0}"]),
];

/// A program line as training targets write it: `[GRAB] <mug> (12)` → "Grab the mug."; `None` where it is not one.
pub fn instruction(line: &str) -> Option<String> {
    Some(Line::read(line)?.instruction())
}

/// "the mug", "the mug and the book", "the mug, the book and the pen".
pub(crate) fn list(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [one] => format!("the {one}"),
        [most @ .., last] => {
            let most: Vec<String> = most.iter().map(|name| format!("the {name}")).collect();
            format!("{} and the {last}", most.join(", "))
        }
    }
}

/// "zero" to "nine", digits above.
pub(crate) fn number(n: usize) -> String {
    const WORDS: [&str; 10] = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    ];
    WORDS
        .get(n)
        .map_or_else(|| n.to_string(), |word| (*word).to_owned())
}

/// The first letter in upper case.
pub(crate) fn capital(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().collect::<String>() + characters.as_str(),
        None => String::new(),
    }
}

/// About how many tokens a text has. SmolLM2 makes 4.2 bytes of such texts one token (measured on 845 examples).
pub fn estimate_tokens(text: &str) -> usize {
    text.len() * 10 / 42 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_instructions() {
        let check =
            |line, expected: Option<&str>| assert_eq!(instruction(line).as_deref(), expected);
        check(
            "[PUTBACK] <mug> (12) <kitchen table> (4)",
            Some("Put the mug on the kitchen table."),
        );
        check("[WALK] <mug 2>", Some("Walk to the mug 2."));
        check("[STANDUP]", Some("Stand up."));
        check("[SLEEP] <bed> (3)", Some("Sleep the bed."));
        check("WALK mug", None);
        check("[WALK] <mug", None);
    }

    #[test]
    fn lists_and_numbers() {
        assert_eq!(
            list(&["mug", "book", "pen"]),
            "the mug, the book and the pen"
        );
        assert_eq!(list(&[]), "nothing");
        assert_eq!(
            (number(3), number(12)),
            ("three".to_owned(), "12".to_owned())
        );
    }
}
