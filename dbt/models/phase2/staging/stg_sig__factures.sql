-- Invoices as the accounting system last knew them.
select
    facture_id,
    attribution_id,
    emise_le,
    echeance_le,
    montant,
    montant_regle,
    montant - montant_regle as montant_du,
    modifiee_le,
    _logical_date as exportee_le,
    _load_id
from {{ source('raw_sig', 'factures') }}
