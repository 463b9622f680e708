/// The editor for bodies (CodeMirror), loaded when it is first needed.
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { json, jsonParseLinter } from '@codemirror/lang-json';
import { HighlightStyle, bracketMatching, foldGutter, indentOnInput, syntaxHighlighting } from '@codemirror/language';
import { linter } from '@codemirror/lint';
import { highlightSelectionMatches, searchKeymap } from '@codemirror/search';
import { Compartment, EditorState, Prec } from '@codemirror/state';
import { EditorView, drawSelection, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useRef } from 'react';
import { styleNonce } from '../app/theme';

const colours = HighlightStyle.define([
  { tag: tags.propertyName, class: 'json-key' },
  { tag: tags.string, class: 'json-string' },
  { tag: tags.number, class: 'json-number' },
  { tag: [tags.bool, tags.null], class: 'json-word' },
]);

interface Props {
  value: string;
  onChange: (value: string) => void;
  onSend: () => void;
  isJson: boolean;
  label: string;
}

export default function CodeEditor({ value, onChange, onSend, isJson, label }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const latest = useRef({ onChange, onSend });
  latest.current = { onChange, onSend };

  useEffect(() => {
    if (host.current === null) {
      return;
    }
    const language = new Compartment();
    const made = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: value,
        extensions: [
          EditorView.cspNonce.of(styleNonce()),
          lineNumbers(),
          foldGutter(),
          history(),
          drawSelection(),
          indentOnInput(),
          bracketMatching(),
          highlightSelectionMatches(),
          syntaxHighlighting(colours),
          EditorView.lineWrapping,
          language.of(isJson ? [json(), linter(lintFilled)] : []),
          Prec.highest(keymap.of([{ key: 'Mod-Enter', run: () => (latest.current.onSend(), true) }])),
          // Tab indents; Escape, then Tab leaves, as CodeMirror's own help says.
          keymap.of([...searchKeymap, ...historyKeymap, ...defaultKeymap, indentWithTab]),
          EditorView.contentAttributes.of({ 'aria-label': label }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) {
              latest.current.onChange(update.state.doc.toString());
            }
          }),
        ],
      }),
    });
    view.current = made;
    return () => made.destroy();
    // The text is handed in below; the editor is made anew for another language only.
  }, [isJson, label]);

  useEffect(() => {
    const editor = view.current;
    if (editor !== null && editor.state.doc.toString() !== value) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
    }
  }, [value]);

  return <div ref={host} className="code-editor" />;
}

/// An empty body is not yet wrong, and a place for a variable is no mistake.
function lintFilled(view: EditorView) {
  const text = view.state.doc.toString();
  return text.trim() === '' || text.includes('{{') ? [] : jsonParseLinter()(view);
}
