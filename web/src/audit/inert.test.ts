import { describe, expect, it } from 'vitest';
import { inertPieces, inertText } from './inert';

describe('text from the log', () => {
  it('shows what would change how the text around it reads by its code', () => {
    expect(inertText('a\u202Eb')).toBe('a\\u{202E}b');
    expect(inertText('\u001b[31mred\r\n')).toBe('\\e[31mred\\r\n');
    expect(inertText('zero\u200Bwidth \uFEFF\u0000')).toBe('zero\\u{200B}width \\u{FEFF}\\0');
    expect(inertText('tag\u{E0041}')).toBe('tag\\u{E0041}');
    expect(inertText('lone \uD800.')).toBe('lone \\u{D800}.');
  });

  it('leaves ordinary text of any script as it is', () => {
    for (const text of ['plain', 'tab\tline\n', 'Grüße, 你好, שלום, 😀', '<script>alert(1)</script>']) {
      expect(inertText(text)).toBe(text);
    }
  });

  it('loses nothing between the pieces', () => {
    const pieces = inertPieces('x\u2066y\u2069z');
    expect(pieces.map((piece) => piece.text).join('')).toBe('x\\u{2066}y\\u{2069}z');
    expect(pieces.filter((piece) => piece.escaped)).toHaveLength(2);
  });
});
