/// Bytes as hex and characters, sixteen a line.
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef, useState } from 'react';

export function HexView({ body }: { body: Blob }) {
  const [bytes, setBytes] = useState(new Uint8Array());
  const scroller = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let current = true;
    void body.arrayBuffer().then((buffer) => current && setBytes(new Uint8Array(buffer)));
    return () => {
      current = false;
    };
  }, [body]);
  const rows = useVirtualizer({
    // Browsers draw no taller than some 30 million pixels.
    count: Math.min(Math.ceil(bytes.length / 16), 1_500_000),
    getScrollElement: () => scroller.current,
    estimateSize: () => 20,
    overscan: 20,
  });
  return (
    <div ref={scroller} className="lines" tabIndex={0} role="region" aria-label="Body in hex">
      <div style={{ height: rows.getTotalSize(), position: 'relative' }}>
        {rows.getVirtualItems().map(({ index, start }) => {
          const part = [...bytes.subarray(index * 16, index * 16 + 16)];
          return (
            <div key={index} className="line" style={{ transform: `translateY(${start}px)` }}>
              <span className="line-number">{(index * 16).toString(16).padStart(8, '0')}</span>
              <span>{part.map((byte) => byte.toString(16).padStart(2, '0')).join(' ').padEnd(49)}</span>
              <span className="json-string">{part.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '·')).join('')}</span>
            </div>
          );
        })}
      </div>
    </div>
  );
}
