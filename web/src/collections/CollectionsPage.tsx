/// Saved requests.
import { IconBook2 } from '@tabler/icons-react';
import { EmptyState } from '../components/EmptyState';

export default function CollectionsPage() {
  return (
    <EmptyState icon={IconBook2} title="Collections">
      This page is being built.
    </EmptyState>
  );
}
