/// JSON to open level by level; the values stay in the worker and come as they are asked for.
import { Button } from '@mantine/core';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type KeyboardEvent, useEffect, useRef, useState } from 'react';
import type { Node } from './lines';
import type { BodyReader } from './reader';

/// Children that are shown at once; more come on request.
const PAGE = 500;

type Children = Map<string, Node[]>;
interface Line {
  node: Node;
  depth: number;
  open: boolean;
  /// How many children are not shown yet; the line is then a button for more.
  more: number;
}

export function TreeView({ root, reader }: { root: Node; reader: BodyReader }) {
  const [children, setChildren] = useState<Children>(new Map());
  const [open, setOpen] = useState(new Set<string>());
  const [focus, setFocus] = useState(0);
  const scroller = useRef<HTMLDivElement>(null);

  async function load(node: Node) {
    const key = keyOf(node);
    const have = children.get(key) ?? [];
    const next = await reader.children(node.path, have.length, PAGE);
    setChildren((all) => new Map(all).set(key, [...have, ...next]));
  }
  async function toggle(node: Node) {
    const key = keyOf(node);
    if (node.children === 0) {
      return;
    }
    if (!children.has(key)) {
      await load(node);
    }
    setOpen((all) => {
      const next = new Set(all);
      if (!next.delete(key)) {
        next.add(key);
      }
      return next;
    });
  }
  useEffect(() => {
    void toggle(root);
    // Once for each body: the component is keyed by it.
  }, []);

  const lines = flatten(root, 0, children, open);
  const rows = useVirtualizer({ count: lines.length, getScrollElement: () => scroller.current, estimateSize: () => 22, overscan: 20 });
  function onKey(event: KeyboardEvent) {
    const line = lines[focus];
    const to = { ArrowDown: focus + 1, ArrowUp: focus - 1, Home: 0, End: lines.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      const next = Math.max(0, Math.min(lines.length - 1, to));
      setFocus(next);
      rows.scrollToIndex(next);
    } else if (line !== undefined && (event.key === 'Enter' || event.key === ' ' || (event.key === 'ArrowRight') !== line.open)) {
      if (['Enter', ' ', 'ArrowRight', 'ArrowLeft'].includes(event.key)) {
        event.preventDefault();
        void (line.more > 0 ? load(line.node) : toggle(line.node));
      }
    }
  }
  return (
    <div
      ref={scroller}
      className="lines"
      role="tree"
      aria-label="Body as a tree"
      tabIndex={0}
      onKeyDown={onKey}
      aria-activedescendant={`tree-${focus}`}
    >
      <div style={{ height: rows.getTotalSize(), position: 'relative' }} role="presentation">
        {rows.getVirtualItems().map(({ index, start }) => {
          const line = lines[index];
          if (line === undefined) {
            return null;
          }
          const { node, depth, more } = line;
          return (
            <div
              key={index}
              id={`tree-${index}`}
              role="treeitem"
              aria-level={depth + 1}
              aria-expanded={more > 0 || node.children === 0 ? undefined : line.open}
              aria-selected={focus === index}
              className="line tree-line"
              style={{ transform: `translateY(${start}px)`, paddingLeft: 8 + depth * 16 }}
              onClick={() => {
                setFocus(index);
                void (more > 0 ? load(node) : toggle(node));
              }}
            >
              {more > 0 ? (
                <Button component="span" size="compact-xs" variant="subtle">
                  {more.toLocaleString()} more
                </Button>
              ) : (
                <>
                  <span className="tree-arrow" aria-hidden>
                    {node.children > 0 ? (line.open ? '▾' : '▸') : ''}
                  </span>
                  <span className="json-key">{node.key}</span>
                  {': '}
                  <span className={CLASS[node.kind]}>{node.preview}</span>
                </>
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}

const CLASS: Record<Node['kind'], string> = {
  object: 'json-muted', array: 'json-muted', string: 'json-string', number: 'json-number', boolean: 'json-word', null: 'json-word',
};

function keyOf(node: Node): string {
  return node.path.join('.');
}

function flatten(node: Node, depth: number, children: Children, open: Set<string>): Line[] {
  const isOpen = open.has(keyOf(node));
  const line: Line = { node, depth, open: isOpen, more: 0 };
  if (!isOpen) {
    return [line];
  }
  const known = children.get(keyOf(node)) ?? [];
  const inner = known.flatMap((child) => flatten(child, depth + 1, children, open));
  const more = node.children - known.length;
  return [line, ...inner, ...(more > 0 ? [{ node, depth: depth + 1, open: false, more }] : [])];
}
