/// A text of any length: only the lines in sight are drawn.
import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useEffect, useRef } from 'react';
import type { Lines } from './body.worker';
import { lineAt } from './lines';

const HEIGHT = 20;

interface Props {
  lines: Lines;
  label: string;
  /// Colours for JSON.
  isJson: boolean;
  matches: { places: number[]; length: number; current: number };
}

export function LinesView({ lines: { text, starts }, label, isJson, matches }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const count = starts.length - 1;
  const rows = useVirtualizer({ count, getScrollElement: () => scroller.current, estimateSize: () => HEIGHT, overscan: 20 });
  const place = matches.places[matches.current];
  useEffect(() => {
    if (place !== undefined) {
      rows.scrollToIndex(lineAt(starts, place), { align: 'center' });
    }
  }, [place, starts, rows]);
  const digits = String(count).length;
  return (
    <div ref={scroller} className="lines" tabIndex={0} role="region" aria-label={label}>
      <div style={{ height: rows.getTotalSize(), position: 'relative' }}>
        {rows.getVirtualItems().map(({ index, start }) => {
          const from = starts[index] ?? 0;
          const to = starts[index + 1] ?? from;
          return (
            <div key={index} className="line" style={{ transform: `translateY(${start}px)` }}>
              <span className="line-number" style={{ width: `${digits + 1}ch` }} aria-hidden>
                {index + 1}
              </span>
              <span>{marked(text.slice(from, to).replace(/\r?\n$/, ''), from, matches, isJson)}</span>
            </div>
          );
        })}
      </div>
    </div>
  );
}

/// A line with its matches marked, or else coloured.
function marked(line: string, from: number, { places, length, current }: Props['matches'], isJson: boolean): ReactNode {
  const here = places.filter((place) => place < from + line.length && place + length > from);
  if (here.length === 0) {
    return isJson ? coloured(line) : line;
  }
  const parts: ReactNode[] = [];
  let at = 0;
  for (const place of here) {
    const begin = Math.max(place - from, at);
    const end = Math.min(place + length - from, line.length);
    parts.push(line.slice(at, begin));
    parts.push(
      <mark key={place} className={places[current] === place ? 'match-current' : undefined}>
        {line.slice(begin, end)}
      </mark>,
    );
    at = end;
  }
  parts.push(line.slice(at));
  return parts;
}

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g;

function coloured(line: string): ReactNode {
  const parts: ReactNode[] = [];
  let at = 0;
  for (const match of line.matchAll(TOKEN)) {
    const [whole, text, colon, word] = match;
    parts.push(line.slice(at, match.index));
    const kind = text === undefined ? (word === undefined ? 'json-number' : 'json-word') : colon ? 'json-key' : 'json-string';
    parts.push(
      <span key={match.index} className={kind}>
        {text ?? whole}
      </span>,
      colon ?? '',
    );
    at = match.index + whole.length;
  }
  parts.push(line.slice(at));
  return parts;
}
