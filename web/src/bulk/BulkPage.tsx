/// One request for many ids.
import { IconListCheck } from '@tabler/icons-react';
import { EmptyState } from '../components/EmptyState';

export default function BulkPage() {
  return (
    <EmptyState icon={IconListCheck} title="Bulk">
      This page is being built.
    </EmptyState>
  );
}
