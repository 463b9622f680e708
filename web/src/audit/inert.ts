/// Text from the log may come from an attacker. The browser shows it as text, never as markup; what would change how the
/// text around it reads (control characters, direction marks, invisible characters) is taken apart here and shown by name.

/// A piece of text: as it is, or a character that is shown by its code.
export type Piece = { text: string; escaped: boolean };

// C0 and C1 controls without tab and line feed; soft hyphen, Arabic letter mark, Hangul and Khmer fillers, Mongolian
// separators; zero-width characters and direction marks; line separators; deprecated format characters, byte order mark,
// interlinear marks; tags and variation selectors beyond the common ones; lone surrogates.
const UNSAFE =
  /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u2028-\u202E\u2060-\u206F\u3164\uFEFF\uFFA0\uFFF0-\uFFFB\u{E0000}-\u{E0FFF}]|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/gu;

const SHORT: Record<string, string> = { '\r': '\\r', '\u0000': '\\0', '\u001b': '\\e' };

/// Takes text apart; joining the texts of the pieces gives something that is safe to show.
export function inertPieces(text: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(UNSAFE)) {
    if (match.index > at) pieces.push({ text: text.slice(at, match.index), escaped: false });
    pieces.push({ text: nameOf(match[0]), escaped: true });
    at = match.index + match[0].length;
  }
  if (at < text.length) pieces.push({ text: text.slice(at), escaped: false });
  return pieces;
}

/// The same as one string, for places that take no elements: titles, labels, notifications.
export function inertText(text: string): string {
  return text.replace(UNSAFE, nameOf);
}

function nameOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return SHORT[character] ?? `\\u{${code.toString(16).toUpperCase().padStart(4, '0')}}`;
}
