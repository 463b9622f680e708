/// One run of a job.
import { IconCalendarTime } from '@tabler/icons-react';
import { EmptyState } from '../components/EmptyState';

export default function RunPage() {
  return (
    <EmptyState icon={IconCalendarTime} title="Run">
      This page is being built.
    </EmptyState>
  );
}
