/// Identity, rights, sessions and tokens.
import { IconShieldLock } from '@tabler/icons-react';
import { EmptyState } from '../components/EmptyState';

export default function AccessPage() {
  return (
    <EmptyState icon={IconShieldLock} title="Access">
      This page is being built.
    </EmptyState>
  );
}
