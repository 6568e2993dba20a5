{#
  Incremental by load, not by time: taken are the invoices of which this table does not hold the version of their load. A load that was committed
  late, or a file that was corrected, is found all the same. An invoice that is in no load any more goes. So it always equals a full rebuild.
#}
{{ config(
    materialized='incremental',
    unique_key='facture_id',
    on_schema_change='fail',
    post_hook="delete from {{ this }} where facture_id not in (select facture_id from {{ ref('stg_sig__factures') }})",
) }}

select
    factures.facture_id,
    factures.attribution_id,
    factures.emise_le,
    factures.echeance_le,
    factures.montant,
    factures.montant_regle,
    factures.montant_du,
    factures.modifiee_le,
    factures.exportee_le,
    factures._load_id
from {{ ref('stg_sig__factures') }} as factures
{% if is_incremental() %}
left join {{ this }} as known on factures.facture_id = known.facture_id and factures._load_id = known._load_id
where known.facture_id is null
{% endif %}
