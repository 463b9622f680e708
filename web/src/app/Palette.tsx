/// The command palette, opened with Ctrl/Cmd+K from anywhere.
import { Kbd, Text } from '@mantine/core';
import { Spotlight, type SpotlightActionGroupData } from '@mantine/spotlight';
import { IconSearch } from '@tabler/icons-react';
import { useMemo } from 'react';
import { useAllCommands } from './commands';

export function Palette() {
  const commands = useAllCommands();
  const groups = useMemo(() => {
    const byGroup = new Map<string, SpotlightActionGroupData>();
    for (const command of commands) {
      const group = byGroup.get(command.group) ?? { group: command.group, actions: [] };
      group.actions.push({
        id: command.id,
        label: command.label,
        description: command.description,
        keywords: command.keywords,
        rightSection: command.keys && <Kbd size="xs">{command.keys}</Kbd>,
        onClick: command.run,
      });
      byGroup.set(command.group, group);
    }
    return [...byGroup.values()];
  }, [commands]);
  return (
    <Spotlight
      actions={groups}
      shortcut={['mod + K']}
      // Also while typing: Ctrl+K means nothing else in our fields.
      tagsToIgnore={[]}
      triggerOnContentEditable
      highlightQuery
      scrollable
      maxHeight={420}
      attributes={{ content: { 'aria-label': 'Commands' } }}
      nothingFound={<Text size="sm">Nothing by that name. Try “request”, “theme” or “log out”.</Text>}
      searchProps={{
        leftSection: <IconSearch size={18} aria-hidden />,
        placeholder: 'What do you want to do?',
        'aria-label': 'Search commands',
      }}
    />
  );
}
