/// The audit log.
import { IconListSearch } from '@tabler/icons-react';
import { EmptyState } from '../components/EmptyState';

export default function AuditPage() {
  return (
    <EmptyState icon={IconListSearch} title="Audit">
      This page is being built.
    </EmptyState>
  );
}
