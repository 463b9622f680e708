/// The body of an answer: pretty, raw, as a tree, an image, hex, or HTML in a sandbox that may do nothing.
import { ActionIcon, Alert, Button, Group, SegmentedControl, Text, TextInput, Tooltip } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { IconArrowDown, IconArrowUp, IconDownload, IconSearch } from '@tabler/icons-react';
import { useEffect, useMemo, useState } from 'react';
import type { Answer } from '../exchange';
import { formatBytes } from '../../components/bytes';
import type { Lines, Opened } from './body.worker';
import { HexView } from './HexView';
import { LinesView } from './LinesView';
import { TreeView } from './TreeView';
import { BodyReader } from './reader';

type View = 'pretty' | 'raw' | 'tree' | 'image' | 'html' | 'hex';
/// A document beyond this would make the browser itself slow.
const MAX_HTML = 5_000_000;

export function BodyView({ answer, name }: { answer: Answer; name: string }) {
  const { body, type } = answer;
  const [opened, setOpened] = useState<Opened | null>(null);
  const [reader, setReader] = useState<BodyReader | null>(null);
  const [chosen, setChosen] = useState<View | null>(null);

  useEffect(() => {
    const reader = new BodyReader();
    setOpened(null);
    setReader(reader);
    const charset = /charset=("?)([^";]+)\1/i.exec(answer.headers.find(([name]) => name === 'content-type')?.[1] ?? '')?.[2] ?? '';
    reader.open(body, charset).then(setOpened, () => setOpened({ isJson: false, isBinary: true, root: null }));
    return () => reader.close();
  }, [body, answer.headers]);

  if (body.size === 0) {
    return (
      <Text c="dimmed" size="sm" p="md">
        The answer has no body.
      </Text>
    );
  }
  if (opened === null || reader === null) {
    return (
      <Text c="dimmed" size="sm" p="md" role="status">
        Reading {formatBytes(body.size)}…
      </Text>
    );
  }
  const views: { value: View; label: string }[] = [
    ...(opened.isJson ? [{ value: 'pretty' as const, label: 'Pretty' }, { value: 'tree' as const, label: 'Tree' }] : []),
    ...(type.startsWith('image/') ? [{ value: 'image' as const, label: 'Image' }] : []),
    { value: 'raw', label: 'Raw' },
    ...(type === 'text/html' && body.size <= MAX_HTML ? [{ value: 'html' as const, label: 'Preview' }] : []),
    { value: 'hex', label: 'Hex' },
  ];
  const usual: View = type.startsWith('image/') ? 'image' : opened.isJson ? 'pretty' : opened.isBinary ? 'hex' : 'raw';
  const view = views.find(({ value }) => value === chosen)?.value ?? usual;
  return (
    <div className="body-view">
      {answer.cut && (
        <Alert color="yellow" m="xs" title="Only the beginning is shown">
          The body is longer than a page should hold. Copy the request as curl to have it whole.
        </Alert>
      )}
      {view === 'pretty' || view === 'raw' ? (
        <TextBody key={view} reader={reader} pretty={view === 'pretty'} isJson={opened.isJson} tools={tools()} />
      ) : (
        <>
          <Group px="xs" py={6} gap="xs" justify="space-between">
            {tools()}
          </Group>
          {view === 'tree' && opened.root !== null && <TreeView root={opened.root} reader={reader} />}
          {view === 'hex' && <HexView body={body} />}
          {view === 'image' && <ImageBody body={body} type={type} />}
          {view === 'html' && <HtmlBody body={body} />}
        </>
      )}
    </div>
  );

  function tools() {
    return (
      <Group gap="xs" wrap="nowrap">
        <SegmentedControl size="xs" data={views} value={view} onChange={(value) => setChosen(value as View)} aria-label="Show the body as" />
        <Button
          size="compact-sm"
          variant="default"
          leftSection={<IconDownload size={14} aria-hidden />}
          onClick={() => download(body, name, type)}
        >
          Download
        </Button>
      </Group>
    );
  }
}

interface TextProps {
  reader: BodyReader;
  pretty: boolean;
  isJson: boolean;
  tools: React.ReactNode;
}

function TextBody({ reader, pretty, isJson, tools }: TextProps) {
  const [lines, setLines] = useState<Lines | null>(null);
  const [wanted, setWanted] = useState('');
  const [settled] = useDebouncedValue(wanted, 150);
  const [places, setPlaces] = useState<number[]>([]);
  const [current, setCurrent] = useState(0);

  useEffect(() => {
    let live = true;
    void reader.lines(pretty).then((lines) => live && setLines(lines));
    return () => {
      live = false;
    };
  }, [reader, pretty]);
  useEffect(() => {
    let live = true;
    void reader.find(pretty, settled).then((found) => {
      if (live) {
        setPlaces(found);
        setCurrent(0);
      }
    });
    return () => {
      live = false;
    };
  }, [reader, pretty, settled]);

  const matches = useMemo(() => ({ places, length: settled.length, current }), [places, settled, current]);
  const step = (by: number) => places.length > 0 && setCurrent((current + by + places.length) % places.length);
  return (
    <>
      <Group px="xs" py={6} gap="xs" justify="space-between" wrap="nowrap">
        {tools}
        <Group gap={4} wrap="nowrap">
          <Text size="xs" c="dimmed" role="status">
            {settled !== '' && (places.length === 0 ? 'no match' : `${current + 1} of ${places.length}`)}
          </Text>
          <TextInput
            size="xs"
            w={200}
            placeholder="Search the body"
            aria-label="Search the body"
            leftSection={<IconSearch size={14} aria-hidden />}
            value={wanted}
            onChange={(event) => setWanted(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === 'Enter') {
                step(event.shiftKey ? -1 : 1);
              }
            }}
          />
          <Tooltip label="Previous match (Shift+Enter)">
            <ActionIcon variant="subtle" color="gray" onClick={() => step(-1)} aria-label="Previous match">
              <IconArrowUp size={14} />
            </ActionIcon>
          </Tooltip>
          <Tooltip label="Next match (Enter)">
            <ActionIcon variant="subtle" color="gray" onClick={() => step(1)} aria-label="Next match">
              <IconArrowDown size={14} />
            </ActionIcon>
          </Tooltip>
        </Group>
      </Group>
      {lines !== null && <LinesView lines={lines} label="Body" isJson={isJson && pretty} matches={matches} />}
    </>
  );
}

function ImageBody({ body, type }: { body: Blob; type: string }) {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    // As an image nothing in it runs, not even in SVG.
    const made = URL.createObjectURL(new Blob([body], { type }));
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [body, type]);
  return (
    <div className="image-body">
      <img src={url} alt="The answer's body" />
    </div>
  );
}

/// Stands before the page, so that nothing in it is loaded, not even from this origin, which our own policy would allow.
const LOAD_NOTHING = '<!doctype html><meta http-equiv="Content-Security-Policy" content="default-src \'none\'">';

function HtmlBody({ body }: { body: Blob }) {
  const [html, setHtml] = useState<string | null>(null);
  useEffect(() => {
    let current = true;
    void body.text().then((text) => current && setHtml(text));
    return () => {
      current = false;
    };
  }, [body]);
  return (
    <>
      <Text size="xs" c="dimmed" px="xs" pb={6}>
        In a sandbox of its own origin: scripts, forms, styles and everything it would load stay off.
      </Text>
      {/* An empty `sandbox` allows nothing, and this page's own policy holds inside, too. */}
      {/* Made once the document is known: a frame that is told a second one while it loads the first may end up with neither. */}
      {html !== null && <iframe className="html-body" sandbox="" srcDoc={LOAD_NOTHING + html} title="The answer's body as a page" referrerPolicy="no-referrer" />}
    </>
  );
}

function download(body: Blob, name: string, type: string): void {
  // Never under its own type: a browser that opened it would run it here.
  const url = URL.createObjectURL(new Blob([body], { type: 'application/octet-stream' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `${name}${SUFFIX[type] ?? (type.includes('json') ? '.json' : '.bin')}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const SUFFIX: Record<string, string> = {
  'text/html': '.html', 'text/plain': '.txt', 'text/csv': '.csv', 'text/xml': '.xml', 'application/xml': '.xml',
  'image/png': '.png', 'image/jpeg': '.jpg', 'image/gif': '.gif', 'image/svg+xml': '.svg', 'image/webp': '.webp',
  'application/pdf': '.pdf', 'application/zip': '.zip',
};
