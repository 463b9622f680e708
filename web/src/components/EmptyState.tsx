/// What stands where there is nothing yet: what would be here, and how to get it.
import { Center, Stack, Text, ThemeIcon, Title } from '@mantine/core';
import type { ComponentType, ReactNode } from 'react';

interface Props {
  icon: ComponentType<{ size?: number }>;
  title: string;
  children: ReactNode;
}

export function EmptyState({ icon: Icon, title, children }: Props) {
  return (
    <Center p="xl">
      <Stack align="center" gap="xs" maw={480}>
        <ThemeIcon size={48} radius="xl" variant="light" aria-hidden>
          <Icon size={26} />
        </ThemeIcon>
        <Title order={2} size="h4" ta="center">
          {title}
        </Title>
        <Text c="dimmed" size="sm" ta="center" component="div">
          {children}
        </Text>
      </Stack>
    </Center>
  );
}
