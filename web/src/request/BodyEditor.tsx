/// The body: JSON, text, form, multipart with files, or one raw file.
import { Button, FileInput, Group, SegmentedControl, Skeleton, Stack, Switch, Text, Tooltip } from '@mantine/core';
import { Suspense, lazy } from 'react';
import { RowTable } from './RowTable';
import type { BodyDraft, BodyKind } from './draft';
import { useKeepsBodies } from './tabs';

const CodeEditor = lazy(() => import('./CodeEditor'));

const KINDS: { value: BodyKind; label: string }[] = [
  { value: 'none', label: 'None' },
  { value: 'json', label: 'JSON' },
  { value: 'text', label: 'Text' },
  { value: 'form', label: 'Form' },
  { value: 'multipart', label: 'Multipart' },
  { value: 'file', label: 'File' },
];

interface Props {
  body: BodyDraft;
  onChange: (body: BodyDraft) => void;
  onSend: () => void;
}

export function BodyEditor({ body, onChange, onSend }: Props) {
  const set = (part: Partial<BodyDraft>) => onChange({ ...body, ...part });
  const [keeps, setKeeps] = useKeepsBodies();
  return (
    <Stack gap="xs" className="body-editor">
      <Group gap="xs" justify="space-between">
        <SegmentedControl size="xs" data={KINDS} value={body.kind} onChange={(kind) => set({ kind: kind as BodyKind })} aria-label="Kind of body" />
        <Group gap="xs">
          {body.kind === 'json' && (
            <Button size="compact-xs" variant="subtle" onClick={() => set({ text: pretty(body.text) })}>
              Format
            </Button>
          )}
          {body.kind !== 'none' && body.kind !== 'file' && (
            <Tooltip label="Off: bodies are forgotten when this browser tab is closed. Files are never kept." multiline w={260}>
              <Switch size="xs" label="Keep bodies in this browser" checked={keeps} onChange={(event) => setKeeps(event.currentTarget.checked)} />
            </Tooltip>
          )}
        </Group>
      </Group>
      {body.kind === 'none' && (
        <Text size="sm" c="dimmed">
          No body is sent.
        </Text>
      )}
      {(body.kind === 'json' || body.kind === 'text') && (
        <Suspense fallback={<Skeleton h={120} />}>
          <CodeEditor
            value={body.text}
            onChange={(text) => set({ text })}
            onSend={onSend}
            isJson={body.kind === 'json'}
            label={body.kind === 'json' ? 'JSON body' : 'Text body'}
          />
        </Suspense>
      )}
      {body.kind === 'form' && <RowTable what="field" rows={body.form} onChange={(form) => set({ form })} />}
      {body.kind === 'multipart' && <RowTable what="part" rows={body.parts} onChange={(parts) => set({ parts })} files />}
      {body.kind === 'file' && (
        <FileInput
          size="sm"
          label="File to send"
          description="Sent as it is. It is not kept over a reload."
          placeholder="Choose a file"
          value={body.file ?? null}
          onChange={(file) => set({ file: file ?? undefined })}
          clearable
        />
      )}
    </Stack>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
