/// One audit entry.
import { IconListSearch } from '@tabler/icons-react';
import { EmptyState } from '../components/EmptyState';

export default function EntryPage() {
  return (
    <EmptyState icon={IconListSearch} title="Audit entry">
      This page is being built.
    </EmptyState>
  );
}
