/// How every error is shown: what happened, what to do, and where it stands in the audit log.
import { Alert, Anchor, Button, Code, Group, List, Stack, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { type ReactNode } from 'react';
import { Link, useInRouterContext } from 'react-router';
import type { Problem } from '../client/problem';

interface Props {
  problem: Problem;
  onRetry?: () => void;
  /// Further ways on, beside the link to the audit entry.
  children?: ReactNode;
}

export function ProblemAlert({ problem, onRetry, children }: Props) {
  // The login stands outside the router, and its entries are not for who cannot log in.
  const linked = useInRouterContext();
  return (
    <Alert
      color="red"
      variant="light"
      role="alert"
      icon={<IconAlertTriangle aria-hidden />}
      title={problem.detail || problem.title}
      styles={{ title: { whiteSpace: 'normal', overflowWrap: 'anywhere' } }}
    >
      <Stack gap={6}>
        {problem.hint !== null && <Text size="sm">{withCode(problem.hint)}</Text>}
        {problem.errors.length > 0 && (
          <List size="sm">
            {problem.errors.map((error) => (
              <List.Item key={error.field}>
                <Code>{error.field}</Code> {error.detail}
              </List.Item>
            ))}
          </List>
        )}
        <Group gap="sm">
          <Text size="xs" c="dimmed">
            {problem.status > 0 && `${problem.status} `}
            <Code>{problem.code}</Code>
          </Text>
          {problem.auditId !== null && linked && (
            <Anchor component={Link} to={`/audit/${problem.auditId}`} size="xs">
              Audit entry
            </Anchor>
          )}
          {children}
          {onRetry && (
            <Button size="compact-xs" variant="default" onClick={onRetry}>
              Try again
            </Button>
          )}
        </Group>
      </Stack>
    </Alert>
  );
}

/// What stands between backticks as code.
function withCode(text: string): ReactNode[] {
  return text.split('`').map((part, index) => (index % 2 === 1 ? <Code key={index}>{part}</Code> : part));
}
