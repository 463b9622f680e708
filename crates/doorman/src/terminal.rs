//! Text from elsewhere, made fit for a terminal: nothing in it moves the cursor, changes colours or reorders what is read.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Characters that a terminal acts on instead of showing, or that change the order of others (Unicode TR 36, TR 9).
fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One line: escape sequences and unfit characters are left out, line breaks and tabs become spaces.
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_unfit) { Cow::Owned(strip(text, false)) } else { Cow::Borrowed(text) }
}

/// Several lines: as [`clean`], but line breaks and tabs stay.
pub fn clean_block(text: &str) -> String {
    strip(text, true)
}

/// JSON text with every unfit character escaped: the same value, for terminals and programs alike.
pub fn clean_json(json: &str) -> String {
    let mut clean = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unfit(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(clean, "\\u{unit:04x}");
            }
        } else {
            clean.push(c);
        }
    }
    clean
}

fn strip(text: &str, keep_breaks: bool) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => match rest.next_if(|c| matches!(c, '[' | ']' | 'P' | 'X' | '^' | '_')) {
                Some('[') => skip_control_sequence(&mut rest),
                Some(_) => skip_string(&mut rest),
                None => {
                    rest.next_if(|c| matches!(c, ' '..='~'));
                }
            },
            '\u{9b}' => skip_control_sequence(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut rest),
            '\n' | '\t' if keep_breaks => clean.push(c),
            '\n' | '\t' => clean.push(' '),
            c if is_unfit(c) => {}
            c => clean.push(c),
        }
    }
    clean
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// ECMA-48 §5.4: parameters and intermediates, then one final byte.
fn skip_control_sequence(rest: &mut Rest<'_>) {
    while rest.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    rest.next_if(|c| matches!(c, '@'..='~'));
}

/// ECMA-48 §5.6: up to the string terminator, or BEL as xterm has it. A line break ends it too, so that a stray opener cannot
/// swallow the rest.
fn skip_string(rest: &mut Rest<'_>) {
    while let Some(c) = rest.next_if(|c| *c != '\n') {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                rest.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_and_reordering_characters_are_left_out() {
        assert_eq!(clean("a\u{1b}[31mred\u{1b}[0m b"), "ared b");
        assert_eq!(clean("x\u{1b}]0;title\u{7}y\u{9b}2Jz"), "xyz");
        assert_eq!(clean("admin\u{202e}txt\u{200b}\r\nnext\t."), "admintxt next .");
        assert_eq!(clean_block("a\r\n\tb\u{1b}]8;;http://x\u{1b}\\c"), "a\n\tbc");
        assert_eq!(clean("grüße 日本"), "grüße 日本");
    }

    proptest! {
        #[test]
        fn nothing_unfit_is_left_and_json_keeps_its_value(text: String) {
            prop_assert!(!clean(&text).chars().any(is_unfit));
            prop_assert!(!clean_block(&text).chars().any(|c| is_unfit(c) && c != '\n' && c != '\t'));
            let json = clean_json(&serde_json::to_string(&text).unwrap());
            prop_assert!(!json.chars().any(is_unfit));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
