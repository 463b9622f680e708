/// Whose sessions or tokens a list shows.
import { Group, SegmentedControl, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useSession } from '../session/session';

/// Whose: `undefined` one's own, `all`, or a principal.
export function OwnerPicker({ owner, onChange }: { owner: string | undefined; onChange: (owner: string | undefined) => void }) {
  const { may } = useSession();
  const [name, setName] = useState('');
  if (!may('session:manage', 'sessions:all')) return null;
  return (
    <Group gap="xs">
      <SegmentedControl
        aria-label="Whose"
        size="xs"
        data={[
          { value: 'own', label: 'Mine' },
          { value: 'all', label: 'Everybody’s' },
        ]}
        value={owner === undefined ? 'own' : 'all'}
        onChange={(value) => {
          setName('');
          onChange(value === 'own' ? undefined : 'all');
        }}
      />
      {owner !== undefined && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            onChange(name.trim() || 'all');
          }}
        >
          <TextInput
            size="xs"
            w={220}
            aria-label="Of one principal"
            placeholder="Of one: alice, service:reports-ui"
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
          />
        </form>
      )}
    </Group>
  );
}
